"""Figures follow the page's theme, and show their numbers.

Notebooks store figures as SVG (`utils.plots.vector`). Once the pages are written, each such drawing
is made into two, one per palette, with a transparent ground; the page shows the one of its theme.
The numbers that the drawing carries become a table behind "Show the numbers".
"""

from __future__ import annotations

import colorsys
import html
import json
import re
import sys
from pathlib import Path
from typing import Any

from course_book import pages_were_written
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.book.words import tr

DARK_GROUND = "#121212"  # the theme's own
LEAST_CONTRAST = 3.0  # of a line on its ground, as WCAG 2.2 asks of graphics
# The course's palette on a dark page: the same hues, lighter (`utils.plots.style`).
DARK_PALETTE = {
    "#0072b2": "#4da3dc",
    "#d55e00": "#f0803c",
    "#00875f": "#2cc295",
    "#b8548b": "#e29ac4",
    "#2e8bc0": "#7ccbf5",
    "#a87000": "#efb84a",
}
MADE_BY_US = "<!-- numbers: "  # see `utils.plots.vector.MARK`
_NUMBERS = re.compile(r"<!-- numbers: (.*?) -->\s*", re.DOTALL)
_COLOR = re.compile(r"#[0-9a-fA-F]{6}\b")
_IMAGE = re.compile(r'<img [^>]*?src="([^"]*_images/[^"/]+)\.svg"[^>]*>')


# ---- colours -------------------------------------------------------------------------------------


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2), between 1 and 21.

    >>> round(contrast("#ffffff", "#767676"), 2)
    4.54
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def for_dark(color: str) -> str:
    """What a colour of a light figure becomes on a dark page.

    A grey keeps its distance from the ground: what was faint on white is faint on black. Of other
    colours the palette's have a lighter twin, and the rest are lightened until they stand out.

    >>> for_dark("#ffffff"), for_dark("#000000"), for_dark("#0072B2")
    ('#121212', '#f0f0f0', '#4da3dc')
    """
    color = color.lower()
    if color in DARK_PALETTE:
        return DARK_PALETTE[color]
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    if red == green == blue:
        ground = int(DARK_GROUND[1:3], 16)
        grey = round(ground + (255 - red) / 255 * (0xF0 - ground))
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    hue, lightness, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    while contrast(color, DARK_GROUND) < LEAST_CONTRAST:
        lightness = min(1.0, lightness + 0.02)
        parts = colorsys.hls_to_rgb(hue, lightness, saturation)
        color = "#" + "".join(f"{round(255 * part):02x}" for part in parts)
    return color


def both_palettes(svg: str) -> tuple[str, str]:
    """The drawing for a light and for a dark page, without its numbers, the ground transparent."""
    drawn = _NUMBERS.sub("", svg)
    # The first shape is the figure's ground; its axes have one of their own.
    clear = re.sub(
        r"(<g id=\"patch_1\">\s*<path [^>]*?style=\"fill: )#ffffff", r"\1none", drawn, count=1
    )
    dark = _COLOR.sub(lambda found: for_dark(found[0]), clear)
    # Letters and lines without a colour of their own are black: the root's colour is theirs.
    ink = for_dark("#000000")
    dark = dark.replace("<svg ", f'<svg fill="{ink}" color="{ink}" ', 1)
    return clear, dark


# ---- numbers -------------------------------------------------------------------------------------


def tables(panels: list[dict[str, Any]]) -> str:
    """The HTML of the table behind "Show the numbers": one per panel and set of x values."""
    parts = []
    for panel in panels:
        together: dict[str, list[dict[str, Any]]] = {}
        for series in panel["series"]:
            together.setdefault(json.dumps(series["x"]), []).append(series)
        for group in together.values():
            parts.append(_table(panel, group))
    if not parts:
        return ""
    body = "\n".join(parts)
    summary = f"<summary>{tr('Show the numbers')}</summary>"
    return f'<details class="figure-numbers">{summary}\n{body}\n</details>'


def _table(panel: dict[str, Any], group: list[dict[str, Any]]) -> str:
    """One table: x, and a column per series of ``group``, which share their x values."""
    heads = [panel["x"] or "x"]
    for series in group:
        heads.append(series["name"] or panel["y"] or "y")
    title = " — ".join(part for part in (panel["title"], panel["y"]) if part)
    rows = zip(group[0]["x"], *(series["y"] for series in group), strict=True)
    lines = ['<div class="numbers"><table>']
    if title:
        lines.append(f"<caption>{_text(title)}</caption>")
    cells = "".join(f'<th scope="col">{_text(head)}</th>' for head in heads)
    lines.append(f"<thead><tr>{cells}</tr></thead><tbody>")
    for row in rows:
        lines.append("<tr>" + "".join(f"<td>{_text(value)}</td>" for value in row) + "</tr>")
    lines.append("</tbody></table></div>")
    return "\n".join(lines)


def _text(value: Any) -> str:
    """A value as it is read: numbers without a needless point, and plain words for TeX."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "−")
    plain = re.sub(r"\\(?:mathdefault|mathrm|text)\b|[${}]", "", str(value)).replace("\n", " ")
    return html.escape(plain)


# ---- pages ---------------------------------------------------------------------------------------


def themed_page(text: str, drawings: dict[str, tuple[str, str]]) -> str:
    """A page's HTML with both drawings of each figure, and its numbers.

    drawings: for each file name without suffix, its size as attributes, and its table.
    """

    def themed(image: re.Match[str]) -> str:
        name = image[1].rpartition("/")[2]
        if name not in drawings or "only-light" in image[0]:
            return image[0]
        size, table = drawings[name]
        light = re.sub(r'\s(?:width|height|style)="[^"]*"', "", image[0])
        light = _with_class(light, "only-light").replace("<img ", f'<img loading="lazy" {size} ', 1)
        dark = light.replace("only-light", "only-dark")
        light = light.replace(f"{name}.svg", f"{name}-light.svg")
        dark = dark.replace(f"{name}.svg", f"{name}-dark.svg")
        return light + dark + table

    return _IMAGE.sub(themed, text)


def _with_class(image: str, name: str) -> str:
    if ' class="' in image:
        return image.replace(' class="', f' class="{name} ', 1)
    return image.replace("<img ", f'<img class="{name}" ', 1)


def theme_figures(app: Sphinx, exception: Exception | None) -> None:
    """Write both drawings of every figure, and the pages that show them."""
    if not pages_were_written(app, exception):
        return
    folder = Path(app.outdir) / "_images"
    drawings = {}
    for file in sorted(folder.glob("*.svg")):
        svg = file.read_text(encoding="utf-8")
        if MADE_BY_US not in svg:
            continue
        light, dark = both_palettes(svg)
        found = _NUMBERS.search(svg)
        panels = json.loads(found[1]) if found else []
        drawings[file.stem] = (_size(svg), tables(panels))
        (folder / f"{file.stem}-dark.svg").write_text(dark, encoding="utf-8")
        # The stored drawing stays as it is: a later build would not write it again.
        (folder / f"{file.stem}-light.svg").write_text(light, encoding="utf-8")
    for page in Path(app.outdir).rglob("*.html"):
        written = page.read_text(encoding="utf-8")
        themed = themed_page(written, drawings)
        if themed != written:
            page.write_text(themed, encoding="utf-8")


def _size(svg: str) -> str:
    """Width and height as attributes, in CSS pixels: the page then does not jump as it loads."""
    width = re.search(r'<svg[^>]*? width="([\d.]+)pt"', svg)
    height = re.search(r'<svg[^>]*? height="([\d.]+)pt"', svg)
    if not (width and height):
        return ""
    pixels = [round(float(found[1]) * 4 / 3) for found in (width, height)]
    return f'width="{pixels[0]}" height="{pixels[1]}"'


def setup(app: Sphinx) -> dict[str, object]:
    """Register the step."""
    app.connect("build-finished", theme_figures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
