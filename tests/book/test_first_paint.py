"""What a page loads before it is painted: icons drawn in it, MathJax only for a formula."""

from __future__ import annotations

import pytest
from first_paint import drawing, lighter_page
from sphinx.errors import ExtensionError

# Two packs as in Font Awesome's script: the regular one, then the solid one.
SCRIPT = (
    'var p={sun:[512,512,[9728],"f185","M1 1"]};d("far",p);'
    'var p={sun:[512,512,[9728],"f185","M2 2"],"arrow-up":[384,512,[8593],"f062","M3 3"],'
    'pencil:[512,512,[9999,"pencil-alt"],"f303","M4 4"]};'
)
MATHJAX = (
    '<script>window.MathJax = {"options": {}}</script>\n'
    '<script defer="defer" src="../_static/../mathjax/tex-svg.js?v=1"></script>\n'
)
FORMULA = '<span class="math notranslate nohighlight">\\(x\\)</span>'


def test_the_solid_drawing_is_taken():
    assert drawing(SCRIPT, "sun") == ("512 512", "M2 2")
    assert drawing(SCRIPT, "arrow-up") == ("384 512", "M3 3")


def test_an_icon_is_found_by_an_older_name():
    assert drawing(SCRIPT, "pencil-alt") == drawing(SCRIPT, "pencil") == ("512 512", "M4 4")


def test_an_icon_that_is_not_there_stops_the_build():
    with pytest.raises(ExtensionError, match="has no icon 'moon'"):
        lighter_page('<i class="fa-solid fa-moon"></i>', SCRIPT)


def test_icons_are_drawn_and_the_script_goes():
    page = (
        '<script src="_static/scripts/fontawesome.js?digest=1"></script>\n'
        '<i class="theme-switch fa-solid fa-sun   fa-lg" data-mode="light" title="Light"></i>'
    )
    assert lighter_page(page, SCRIPT) == (
        '<svg class="theme-switch icon large" data-mode="light" viewBox="0 0 512 512" '
        'aria-hidden="true"><path fill="currentColor" d="M2 2"/></svg>'
    )


def test_mathjax_stays_where_there_is_a_formula():
    assert lighter_page(MATHJAX + FORMULA, SCRIPT) == MATHJAX + FORMULA
    assert lighter_page(MATHJAX + "<pre>\\begin{align}</pre>", SCRIPT).startswith(MATHJAX)


def test_mathjax_goes_where_there_is_none():
    page = '<section class="tex2jax_ignore mathjax_ignore">text</section>'
    assert lighter_page(MATHJAX + page, SCRIPT) == page


def test_a_second_pass_changes_nothing():
    once = lighter_page(MATHJAX + '<i class="fas fa-sun"></i>' + FORMULA, SCRIPT)
    assert lighter_page(once, SCRIPT) == once
