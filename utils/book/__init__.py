"""The book's own machinery: executing notebooks, and the repository's address.

Nothing here needs torch or NumPy: the book is built without them.
"""
