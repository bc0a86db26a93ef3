"""The compression explorer: ``widget.mjs`` on the page, ``widget.py`` in a notebook."""

from utils.lazy import exports

__getattr__, __dir__, __all__ = exports(__name__, {"widget": ["CompressionExplorer"]})
