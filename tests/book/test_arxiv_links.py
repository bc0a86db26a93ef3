"""The list of references links the papers on arXiv."""

from __future__ import annotations

from pathlib import Path

from tests.small_book import build

ENTRY = """@misc{one2020,
  author = {One, Ann}, title = {A title}, year = {2020}, note = {arXiv:1812.07956}
}
@misc{two2021,
  author = {Two, Bob}, title = {Another}, year = {2021}, note = {Read in 2022}
}
"""


def test_each_number_in_the_references_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "all.bib").write_text(ENTRY, encoding="utf-8")
    html = build(
        tmp_path,
        {"index.md": "# References\n\narXiv:1234.56789\n\n```{bibliography}\n:all:\n```\n"},
        extensions=["myst_parser", "sphinxcontrib.bibtex", "arxiv_links"],
        bibtex_bibfiles=["all.bib"],
    )
    page = (html / "index.html").read_text("utf-8")
    assert 'href="https://arxiv.org/abs/1812.07956">arXiv:1812.07956</a>' in page
    assert page.count("https://arxiv.org/abs/") == 1, "a text that is no reference stays as it is"
