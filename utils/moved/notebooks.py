"""The old name of ``utils.book.notebooks refresh``."""

from utils.moved import tell

tell("utils.notebooks", "utils.book.notebooks refresh")
