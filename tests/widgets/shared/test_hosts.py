"""An explorer's colours stand out in the book, JupyterLab, VS Code and Colab, and on paper.

Each host is imitated by what the style sheet knows of it: a mark on ``<html>`` or ``<body>``, and
the variables that it sets for all of its pages.
"""

from __future__ import annotations

import pytest

from utils.runtime import repo_root

STYLE = repo_root() / "utils" / "widgets" / "shared" / "widgets.css"
TEXTS = ("--cw-text", "--cw-muted")
DATA = ("--cw-accent", *(f"--cw-{number}" for number in range(1, 7)))
LIGHT = "--jp-layout-color1: white; --jp-content-font-color1: black;"
LIGHT += "--jp-content-font-color2: rgba(0, 0, 0, .54)"
DARK = "--jp-layout-color1: #111; --jp-content-font-color1: white;"
DARK += "--jp-content-font-color2: rgba(255, 255, 255, .7)"
EDITOR = "--vscode-editor-background: #1f1f1f; --vscode-editor-foreground: #ccc;"
EDITOR += "--vscode-descriptionForeground: #9d9d9d"
# Its attributes on <html> and <body>, its variables, and whether it is dark.
HOSTS = {
    "nothing": ("", "", "", False),
    "jupyterlab": ("", 'data-jp-theme-light="true"', LIGHT, False),
    "jupyterlab-dark": ("", 'data-jp-theme-light="false"', DARK, True),
    # Widgets bring JupyterLab's light variables into VS Code and Colab, whatever the theme.
    "vscode-dark": ("", 'class="vscode-dark"', f"{LIGHT}; {EDITOR}", True),
    "colab": ("", "", LIGHT, False),
    "colab-dark": ('theme="dark"', "", LIGHT, True),
}
# Colours laid one upon the other on a canvas, as a browser does it itself.
LUMINANCES = """(names) => {
  const box = document.querySelector(".cw");
  const paper = document.createElement("canvas").getContext("2d");
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return names.map((name) => {
    for (const layer of ["--cw-surface", name]) {
      box.style.outlineColor = `var(${layer})`;
      paper.fillStyle = getComputedStyle(box).outlineColor;
      paper.fillRect(0, 0, 1, 1);
    }
    const [r, g, b] = [...paper.getImageData(0, 0, 1, 1).data].map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  });
}"""


def page_of(host: str) -> str:
    html, body, variables, _ = HOSTS[host]
    style = f"<style>:root {{ {variables} }}\n{STYLE.read_text(encoding='utf-8')}</style>"
    return f'<!doctype html><html {html}><head>{style}</head><body {body}><div class="cw">Text'


def contrasts(page) -> dict[str, float]:
    """The contrast of each colour against the explorer's own ground, from 1 to 21."""
    names = ["--cw-surface", *TEXTS, *DATA]
    ground, *others = page.evaluate(LUMINANCES, names)
    return {
        name: (max(other, ground) + 0.05) / (min(other, ground) + 0.05)
        for name, other in zip(names[1:], others, strict=True)
    }


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("media", ["screen", "print"])
def test_colours_stand_out(chromium, host, media) -> None:
    page = chromium.new_page()
    page.set_content(page_of(host))
    page.emulate_media(media=media)
    found = contrasts(page)
    assert min(found[name] for name in TEXTS) >= 4.5, found
    assert min(found[name] for name in DATA) >= 3, found
    is_dark = page.evaluate(LUMINANCES, ["--cw-surface"])[0] < 0.2
    assert is_dark == (HOSTS[host][-1] and media == "screen")
    page.close()
