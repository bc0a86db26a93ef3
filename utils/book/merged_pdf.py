"""Make one PDF of several: its links, outline and tags lead through all of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import pikepdf
from pikepdf import Array, Dictionary, Name, OutlineItem, Pdf

from utils.book.paper import ELSEWHERE
from utils.files import replacing


def places(part: bytes) -> tuple[int, dict[str, int]]:
    """How many pages a PDF of Chromium's has, and on which of them, from 0, each id stands."""
    with pikepdf.open(io.BytesIO(part)) as pdf:
        number: dict[Any, int] = {page.objgen: place for place, page in enumerate(pdf.pages)}
        found = pdf.Root.get("/Dests", Dictionary())
        return len(pdf.pages), {id[1:]: number[to[0].objgen] for id, to in found.items()}


def merge(parts: list[bytes], path: Path, *, title: str, author: str) -> None:
    """Write the PDF of all ``parts``, one after the other, to ``path``, whole or not at all.

    Raises ``ValueError`` in one line for a link within the book that leads nowhere, and ``OSError``
    if ``path`` cannot be written.
    """
    whole = Pdf.new()
    root = whole.Root
    root.Dests = whole.make_indirect(Dictionary())
    root.MarkInfo = Dictionary(Marked=True)
    root.Lang = pikepdf.String("en")
    root.ViewerPreferences = Dictionary(DisplayDocTitle=True)
    root.PageMode = Name.UseOutlines
    root.StructTreeRoot = whole.make_indirect(
        Dictionary(Type=Name.StructTreeRoot, ParentTree=whole.make_indirect(Dictionary(Nums=[])))
    )
    book = whole.make_indirect(
        Dictionary(Type=Name.StructElem, S=Name.Document, P=root.StructTreeRoot, K=[])
    )
    root.StructTreeRoot.K = book
    with whole.open_outline() as outline:
        for part in parts:
            with pikepdf.open(io.BytesIO(part)) as pdf:
                outline.root.extend(_append(whole, pdf, book))
    _lead_links(whole)
    with whole.open_metadata() as said:
        said["dc:title"] = title
        said["dc:creator"] = [author]
        said["dc:language"] = ["en"]

    # Tags are many small objects, which take half as much room together in compressed streams.
    with replacing(path) as file:
        whole.save(cast(BinaryIO, file), object_stream_mode=pikepdf.ObjectStreamMode.generate)


def _append(whole: Pdf, part: Pdf, book: Dictionary) -> list[OutlineItem]:
    """Add the pages of ``part``, its places and its tags; gives its outline."""
    first = len(whole.pages)
    tags_of = whole.Root.StructTreeRoot.ParentTree.Nums  # number, tags, number, tags, …
    shift = len(tags_of) // 2
    number: dict[Any, int] = {page.objgen: first + place for place, page in enumerate(part.pages)}
    for page in part.pages:
        whole.pages.append(page)
    for page in whole.pages[first:]:
        page.StructParents += shift
        for annotation in page.get("/Annots", []):
            annotation.StructParent += shift

    copied = whole.copy_foreign(part.Root.Dests) if "/Dests" in part.Root else Dictionary()
    for id, place in copied.items():
        whole.Root.Dests[id] = place

    tree = whole.copy_foreign(part.Root.StructTreeRoot)
    _forget_table_ids(tree.K)
    for key, tags in _entries(tree.ParentTree):
        tags_of.append(key + shift)
        tags_of.append(tags)
    tree.K.S = Name.Part
    tree.K.P = book
    book.K.append(tree.K)
    with part.open_outline() as outline:
        return [_moved(item, number) for item in outline.root]


def _entries(tree: Any) -> Iterator[tuple[int, Any]]:
    """The numbers of a PDF's number tree and what each leads to, in order."""
    for branch in tree.get("/Kids", []):
        yield from _entries(branch)
    leaf = list(tree.get("/Nums", []))
    for key, value in zip(leaf[::2], leaf[1::2], strict=True):
        yield int(key), value


def _forget_table_ids(root: Any) -> None:
    """Remove the ids by which a table's cells name their heads: two parts may use the same.

    The heads still say whether they are a row's or a column's.
    """
    left: list[Any] = [root]
    while left:
        tag = left.pop()
        if isinstance(tag, Array):
            left.extend(tag)
        elif isinstance(tag, Dictionary) and "/S" in tag:
            if "/ID" in tag:
                del tag["/ID"]
            if isinstance(tag.get("/A"), Array):
                tag.A = Array([rule for rule in tag.A if "/Headers" not in rule])
            if "/K" in tag:
                left.append(tag.K)


def _moved(item: OutlineItem, number: dict[Any, int]) -> OutlineItem:
    """An entry of a part's outline, and those below it, as one of the whole's."""
    destination: Any = item.destination  # page, "XYZ", left, top, zoom
    page, _, left, top, _ = destination
    moved = OutlineItem(
        item.title, number[page.objgen], "XYZ", left=float(left), top=float(top), zoom=0
    )
    moved.children = [_moved(child, number) for child in item.children]
    moved.is_closed = True
    return moved


def _lead_links(whole: Pdf) -> None:
    """Let what links to an address ``book:ID`` lead to the place of that id."""
    for page in whole.pages:
        for annotation in page.get("/Annots", []):
            address = str(annotation.get("/A", Dictionary()).get("/URI", ""))
            if not address.startswith(ELSEWHERE):
                continue
            id = f"/{address.removeprefix(ELSEWHERE)}"
            if id not in whole.Root.Dests:
                raise ValueError(f"a link must lead to a place in the book, got {address}")
            del annotation["/A"]
            annotation.Dest = Name(id)
