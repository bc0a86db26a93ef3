"""utils.data.text: Python's own documentation, and a split that depends on names alone."""

import sys

import pytest

from utils import data
from utils.data import text


@pytest.mark.slow  # reads the whole standard library
def test_python_docs_hold_documentation_and_docstrings():
    corpus = data.python_docs(("docstrings",))
    pages = dict(corpus.documents)
    assert len(pages) == len(corpus.documents) > 300
    assert 1_000_000 < sum(map(len, pages.values())) < 4_000_000
    assert "command" in pages["docstrings/argparse.py"].lower()
    assert not any("/test" in name or "__pycache__" in name for name in pages)
    assert corpus.python_version.count(".") == 2


def test_the_split_is_by_whole_documents_and_depends_on_the_name_alone():
    documents = [(f"docstrings/m{i}.py", "text") for i in range(2000)]
    train, validation = data.TextCorpus(documents, "3.0.0").split(0.1, seed=1)
    assert sorted(train + validation) == sorted(documents)
    assert abs(len(validation) - 200) < 60
    fewer = data.TextCorpus(documents[::2], "3.0.0").split(0.1, seed=1)[1]
    assert set(fewer) <= set(validation)
    sources = data.TextCorpus([("sources/" + n.split("/")[1], t) for n, t in documents], "3.0.0")
    held_out = {name.split("/")[1] for name, _ in sources.split(0.1, seed=1)[1]}
    assert held_out == {name.split("/")[1] for name, _ in validation}
    line = r"validation_fraction must be a number in \(0, 1\), got 1.0"
    with pytest.raises(ValueError, match=line):
        data.TextCorpus(documents, "3.0.0").split(1.0)


def test_a_python_without_topics_skips_them_and_says_so_when_nothing_is_left(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)  # as a Linux package may ship it
    monkeypatch.setattr(text, "_stdlib_sources", lambda: [("a.py", '"""A."""'), ("b.py", "b = 1")])
    both = data.python_docs(("topics", "docstrings")).documents
    assert both == [("docstrings/a.py", "A.")]
    assert all(name.startswith("docstrings/") for name, _ in both)
    with pytest.raises(FileNotFoundError, match="ships none of topics"):
        data.python_docs(("topics",))


def test_python_docs_refuse_unknown_parts():
    line = "parts must be one of 'topics', 'docstrings', 'sources', got 'wiki'"
    with pytest.raises(ValueError, match=line):
        data.python_docs(("wiki",))
    with pytest.raises(ValueError, match="parts must be a tuple"):
        data.python_docs("topics")


def test_docstrings_come_in_the_order_of_the_lines_without_their_indentation():
    source = '"""Module."""\n\nclass A:\n    """First.\n\n    More.\n    """\n\n    def f(self):\n'
    source += '        ""\n\ndef g():\n    """Last."""\n'
    assert text._docstrings(source) == "Module.\n\nFirst.\n\nMore.\n\nLast."
    assert text._docstrings("x = 1\n") == ""
