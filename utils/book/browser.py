"""Find a browser of the Chromium family on this machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
REMEDY = "install Chromium or Chrome, or name one that is there in COURSE_BROWSER"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def find_browser() -> str | None:
    """The Chromium to drive: ``COURSE_BROWSER``, else one on the path, else Chrome on macOS.

    None where there is none of these.
    """
    asked = os.environ.get("COURSE_BROWSER")
    if asked:
        return shutil.which(asked)
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    return MAC if Path(MAC).exists() else None
