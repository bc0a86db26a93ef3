"""What follows from the repository's address: the published site, the way to Colab, the badges.

An address is ``https://host/owner/name``. What is not known for its host is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from utils.validate import require

GITHUB = "github.com"
GITLAB = "gitlab.com"
BRANCH = "main"
COLAB = "https://colab.research.google.com"
COLAB_PICTURE = "https://colab.research.google.com/assets/colab-badge.svg"
BOOK_PICTURE = "https://img.shields.io/badge/read-the_book-blue.svg"
FIRST_NOTEBOOK = "notebooks/parameters/00_anatomy_of_a_transformer.ipynb"

# Host and owner begin with a letter or digit and the name holds one, so ".." is none of the three.
_ADDRESS = re.compile(r"https://(\w[\w.-]*(?::\d+)?)/(\w[\w.-]*)/([.-]*\w[\w.-]*)", re.ASCII)
_SITE = re.compile(r"https://\w[\w.-]*(:\d+)?(/[.-]*\w[\w.-]*)*/", re.ASCII)


@dataclass(frozen=True)
class Repository:
    """The three parts of an address. ``host`` may end with a port, as in ``example.org:8443``."""

    host: str
    owner: str
    name: str


def checked_address(url: str) -> str:
    """The address without a final slash or ``.git``, its host in small letters; empty stays empty.

    Raises ``ValueError`` in one line if it is neither empty nor ``https://host/owner/name``.

    >>> checked_address("https://www.GitHub.com/someone/course.git")
    'https://github.com/someone/course'
    """
    allowed = "https://host/owner/name, or empty"
    require(isinstance(url, str), "URL", allowed, url)
    address = url.rstrip("/").removesuffix(".git")
    if not address:
        return ""
    parts = _ADDRESS.fullmatch(address)
    require(parts is not None, "URL", allowed, url)
    assert parts is not None
    host, owner, name = parts.groups()
    return f"https://{host.lower().removeprefix('www.')}/{owner}/{name}"


def checked_site(site: str) -> str:
    """Where the pages are published, with a final slash; empty stays empty.

    Raises ``ValueError`` in one line if it is neither empty nor ``https://host/…``.

    >>> checked_site("https://course.example.org")
    'https://course.example.org/'
    """
    allowed = "https://host/…, without a query, or empty"
    require(isinstance(site, str), "SITE", allowed, site)
    address = site.rstrip("/") + "/" if site else ""
    require(address == "" or _SITE.fullmatch(address) is not None, "SITE", allowed, site)
    return address


def repository_of(url: str) -> Repository:
    """The parts of an address. Raises ``ValueError`` as `checked_address` does, or if it is empty.

    >>> repository_of("https://github.com/someone/course")
    Repository(host='github.com', owner='someone', name='course')
    """
    parts = _ADDRESS.fullmatch(checked_address(url))
    require(parts is not None, "URL", "https://host/owner/name", url)
    assert parts is not None
    host, owner, name = parts.groups()
    return Repository(host, owner, name)


def default_site(url: str) -> str:
    """Where GitHub Pages publishes a repository; empty for other hosts, and without an address.

    >>> default_site("https://github.com/Someone/course")
    'https://someone.github.io/course/'
    >>> default_site("https://github.com/someone/someone.github.io")
    'https://someone.github.io/'
    """
    if not url:
        return ""
    repository = repository_of(url)
    if repository.host != GITHUB:
        return ""
    host = f"{repository.owner}.github.io".lower()
    # A repository that is named as the owner's host is published at its root.
    if repository.name.lower() == host:
        return f"https://{host}/"
    return f"https://{host}/{repository.name}/"


# ---- Colab and the badges ------------------------------------------------------------------------


def colab_badge(url: str, path: str) -> str:
    """A badge that opens the notebook at ``path`` in Colab; empty where Colab cannot.

    >>> colab_badge("https://example.org/someone/course", "notebooks/one.ipynb")
    ''
    """
    if not url or repository_of(url).host != GITHUB:
        return ""
    repository = repository_of(url)
    place = f"github/{repository.owner}/{repository.name}/blob/{BRANCH}/{path}"
    return _badge("Open in Colab", COLAB_PICTURE, f"{COLAB}/{place}")


def readme_badges(url: str, site: str) -> str:
    """The README's badges in one line: the workflow, the published book, Colab.

    Empty where there is nothing to show.
    """
    badges = []
    if url and repository_of(url).host == GITHUB:
        workflow = f"{url}/actions/workflows/pages.yml"
        badges.append(_badge("Tests", f"{workflow}/badge.svg?branch={BRANCH}", workflow))
    if site:
        badges.append(_badge("Read the book", BOOK_PICTURE, site))
    badges.append(colab_badge(url, FIRST_NOTEBOOK))
    return " ".join(badge for badge in badges if badge)


def _badge(words: str, picture: str, target: str) -> str:
    """A picture that is a link, in Markdown."""
    return f"[![{words}]({picture})]({target})"


# ---- what stands in the tree ---------------------------------------------------------------------


def address_of(root: Path) -> str:
    """The repository's address in ``_config.yml`` below ``root``; empty while it has none."""
    return _config(root)["repository"]["url"]


def site_of(root: Path) -> str:
    """Where the pages are published, from ``_config.yml``; empty while nobody has said it."""
    return _config(root)["html"]["baseurl"]


def _config(root: Path) -> dict:
    """What ``_config.yml`` holds."""
    import yaml

    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
