"""Questions that hide their answer until the reader has guessed.

The source is plain Markdown, in pages and in notebooks alike, and reads as such where no directive
renders::

    **Predict.** Where is the error largest?

    1. At 20 features.
    2. At 400 features.

    <details data-answer="2"><summary>Open after you have chosen</summary>

    At 400, by a wide margin.

    </details>

    What follows, up to the next heading, shows the answer too: figures, outputs and numbers.

In the built pages `predictions.js` makes the list a group of radio buttons and keeps the answer,
and the rest of the section, out of sight until one of them is chosen. Without JavaScript, and on
paper, everything is open. ``data-answer`` is the number of the right option; a question without
options has none, and gets a button instead.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxTranslator

sys.path.insert(0, str(Path(__file__).parents[2]))  # the course's own library
from utils.book.words import tr

logger = logging.getLogger(__name__)

ASKS = "Predict."  # how the paragraph of a question begins, in bold, until it is translated
_OPENS = re.compile(r'\s*<details(?: data-answer="(\d+)")?>\s*<summary>')
_CLOSES = re.compile(r"\s*</details>\s*$")


class prediction(nodes.General, nodes.Element):  # noqa: N801  (docutils names nodes so)
    """The question, its options and its answer; ``answer`` is the right option's number or 0."""


class prediction_answer(nodes.General, nodes.Element):  # noqa: N801
    """What stood inside ``<details>``."""


class prediction_rest(nodes.General, nodes.Element):  # noqa: N801
    """The rest of the section, which shows the answer as well."""


class Predictions(SphinxTransform):
    """Gather each question, its answer and what follows it in its section."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        """Rewrite all sections of the document, the last question of each first."""
        opened = [raw for raw in self.document.findall(nodes.raw) if _OPENS.match(raw.astext())]
        number = len(opened)
        # From the last to the first: what follows an early question then holds the later ones.
        for raw in reversed(opened):
            problem = gather(raw, number)
            if problem:
                logger.warning("prediction: %s", problem, location=raw)
            number -= 1


def gather(opening: nodes.raw, number: int) -> str | None:
    """Move a question's parts into nodes of their own; returns what is wrong with it, if anything.

    opening: the raw node of ``<details …>``. number: of the question on its page, from 1.
    """
    parent = opening.parent
    here = parent.index(opening)
    first = _question(parent, here)
    if first is None:
        return f"no paragraph that begins with **{ASKS}** stands before <details>"
    closing = _closing(parent, here)
    if closing is None:
        return "</details> is missing, or stands in another section or list"

    # The answer's number must be that of an option.
    options = parent[here - 1] if isinstance(parent[here - 1], nodes.enumerated_list) else None
    n_options = 0 if options is None else len(options)
    match = _OPENS.match(opening.astext())
    answer = int(match[1] or 0) if match else 0
    if n_options and not 1 <= answer <= n_options:
        return f'data-answer="…" must be in [1, {n_options}], the options, got {answer}'
    if answer and not n_options:
        return f"data-answer={answer}, but no numbered list of options stands before <details>"

    # The rest ends where a subsection begins.
    end = len(parent)
    for i in range(closing + 1, len(parent)):
        if isinstance(parent[i], nodes.section):
            end = i
            break
    question = parent[first:here]
    told = parent[here + 1 : closing]
    rest = parent[closing + 1 : end]

    asked = prediction("", *question, prediction_answer("", *told))
    asked["answer"] = answer
    asked["number"] = number
    asked["ids"].append(f"prediction-{number}")
    after = [prediction_rest("", *rest)] if rest else []
    parent[first:end] = [asked, *after]
    return None


def _question(parent: nodes.Element, before: int) -> int | None:
    """Where the paragraph that asks stands among the children of ``parent``."""
    for i in range(before - 1, -1, -1):
        child = parent[i]
        if isinstance(child, nodes.paragraph) and child.astext().startswith((ASKS, tr(ASKS))):
            bold = next(child.findall(nodes.strong), None)
            if bold is not None and bold.astext() in (ASKS, tr(ASKS)):
                return i
        if isinstance(child, prediction | nodes.raw | nodes.title):
            return None
    return None


def _closing(parent: nodes.Element, after: int) -> int | None:
    """Where ``</details>`` stands among the children of ``parent``."""
    for i in range(after + 1, len(parent)):
        child = parent[i]
        if isinstance(child, nodes.raw) and _CLOSES.match(child.astext()):
            return i
        if isinstance(child, nodes.section):
            return None
    return None


# ---- HTML ----------------------------------------------------------------------------------------


def visit_prediction(self: SphinxTranslator, node: nodes.Element) -> None:
    """A group with the right option's number, for the script."""
    data = {"data-answer": node["answer"], "data-number": node["number"]}
    self.body.append(self.starttag(node, "div", CLASS="prediction", **data))


def visit_answer(self: SphinxTranslator, node: nodes.Element) -> None:
    """The answer, which the script keeps closed."""
    self.body.append(self.starttag(node, "div", CLASS="prediction-answer"))


def visit_rest(self: SphinxTranslator, node: nodes.Element) -> None:
    """What follows, which the script keeps closed as well."""
    self.body.append(self.starttag(node, "div", CLASS="prediction-rest"))


def depart(self: SphinxTranslator, node: nodes.Element) -> None:
    """The end of any of the three."""
    self.body.append("</div>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the transform, its nodes, the script and the styles."""
    app.add_transform(Predictions)
    app.add_node(prediction, html=(visit_prediction, depart))
    app.add_node(prediction_answer, html=(visit_answer, depart))
    app.add_node(prediction_rest, html=(visit_rest, depart))
    # Before the page is painted, so that no answer flashes up: the styles hide it by this class.
    app.add_js_file(None, body='document.documentElement.classList.add("predicting");', priority=1)
    app.add_js_file("predictions.js", loading_method="defer")
    app.add_css_file("predictions.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
