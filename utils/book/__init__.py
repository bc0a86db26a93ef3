"""The book's own machinery: executing notebooks, and the repository's address. Needs no torch."""
