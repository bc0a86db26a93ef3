"""A stand-in for Colab's own package, for `utils.book.rehearsal` to put on a kernel's path."""
