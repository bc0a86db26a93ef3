"""The book's own machinery: its environment, its build, its notebooks, the repository's address.

Nothing here needs torch or NumPy: the book is built without them.
"""
