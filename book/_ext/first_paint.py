"""Nothing heavy before a page is painted.

The theme loads Font Awesome whole, 1.5 MB that block the first paint, for a dozen icons: here each
icon's drawing is written into the page and the script goes. MathJax, 2 MB, stays only on pages with
a formula. Both are done to the finished pages, as no setting of the theme's does it.
"""

from __future__ import annotations

import re
from pathlib import Path

from course_book import pages_were_written
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

FONT_AWESOME = "scripts/fontawesome.js"  # under _static
_SCRIPT = re.compile(r'<script src="[^"]*scripts/fontawesome\.js[^"]*"></script>\s*')
_ICON = re.compile(r'<i class="([^"]*\bfa-[^"]*)"([^>]*)>\s*</i>')
_MATHJAX = re.compile(
    r"<script>window\.MathJax = .*?</script>\s*<script[^>]*mathjax/tex-svg\.js[^>]*></script>\s*",
    re.DOTALL,
)
# How Sphinx marks what MathJax sets, and how notebooks' outputs hold formulas.
_FORMULA = re.compile(r'class="[^"]*\bmath\b|\\\(|\\\[|\\begin\{')
_STYLES = {"fas", "fa-solid", "fa-lg"}  # classes of an icon that do not name it


def drawing(font_awesome: str, name: str) -> tuple[str, str]:
    """The size "width height" and the path of a solid icon, from Font Awesome's script.

    Raises ``ExtensionError`` for a name that it does not hold.
    """
    # An icon's entry is name:[width,height,[older names],"code","path"].
    drawn = r'"[0-9a-f]+","([^"]*)"\]'
    by_name = rf'[{{,]"?{re.escape(name)}"?:\[(\d+),(\d+),\[[^\]]*\],{drawn}'
    by_older_name = rf'\[(\d+),(\d+),\[[^\]]*"{re.escape(name)}"[^\]]*\],{drawn}'
    found = list(re.finditer(by_name, font_awesome))
    found = found or list(re.finditer(by_older_name, font_awesome))
    if not found:
        raise ExtensionError(f"{FONT_AWESOME} has no icon {name!r}: has the theme changed?")
    width, height, path = found[-1].groups()  # the packs stand in the order brands, regular, solid
    return f"{width} {height}", path


def lighter_page(text: str, font_awesome: str) -> str:
    """A page's HTML with its icons drawn in it, and with MathJax only where there is a formula."""

    def drawn(icon: re.Match[str]) -> str:
        classes = icon[1].split()
        [name] = [c.removeprefix("fa-") for c in classes if c not in _STYLES and c[:3] == "fa-"]
        size, path = drawing(font_awesome, name)
        # Not fa-solid and the like: to the theme's styles these are letters of a font.
        kept = [c for c in classes if not c.startswith("fa")]
        kept += ["icon", "large"] if "fa-lg" in classes else ["icon"]
        label = re.sub(r'\s*title="[^"]*"', "", icon[2])
        return (
            f'<svg class="{" ".join(kept)}"{label} viewBox="0 0 {size}" aria-hidden="true">'
            f'<path fill="currentColor" d="{path}"/></svg>'
        )

    text = _SCRIPT.sub("", text)
    text = _ICON.sub(drawn, text)
    without = _MATHJAX.sub("", text)
    return text if _FORMULA.search(without) else without


def lighten_pages(app: Sphinx, exception: Exception | None) -> None:
    """Rewrite every page that was written, once all are there."""
    if not pages_were_written(app, exception):
        return
    script = Path(app.outdir) / "_static" / FONT_AWESOME
    font_awesome = script.read_text(encoding="utf-8")
    for page in Path(app.outdir).rglob("*.html"):
        written = page.read_text(encoding="utf-8")
        lighter = lighter_page(written, font_awesome)
        if lighter != written:
            page.write_text(lighter, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the step."""
    app.connect("build-finished", lighten_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
