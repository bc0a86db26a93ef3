"""Commands under their old names, each of which names its new one.

``utils/__init__.py`` adds this folder to the package's path, so ``python -m utils.cnn_sweep`` finds
``moved/cnn_sweep.py`` although the library has no such file any more.
"""

from __future__ import annotations

from typing import NoReturn


def tell(old: str, new: str) -> NoReturn:
    """End the process with the one line that a user of the old command needs."""
    raise SystemExit(f"`python -m {old}` is now `python -m {new}`")
