"""The old name of ``utils.book.repository``."""

from utils.moved import tell

tell("utils.repository", "utils.book.repository")
