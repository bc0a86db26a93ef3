"""What stands for a widget on a page without a kernel.

A stored notebook output cannot hold a live kernel. So each widget's output also carries
``text/html``: an element that names the widget and its settings, which the book's host script
brings to life. It never holds arrays of the live run, because nbval compares ``text/html``
strictly; data travels as a committed record. Building the book reads this file and has no
ipywidgets.
"""

from __future__ import annotations

import html
import json
from typing import Any

from utils.book.words import tr

# What a reader sees where the explorer does not run: in a stored notebook, and on a page whose
# browser runs no scripts.
IN_A_NOTEBOOK = ": interactive in the course's web pages and in a running notebook."
ON_A_PAGE = (
    ": it runs in your browser and needs JavaScript. Allow JavaScript for this page and load it"
    " again, or use the explorer in the course's notebooks."
)


def mount_html(
    name: str,
    state: dict[str, Any],
    label: str,
    *,
    id: str = "",
    record: str = "",
    wide: bool = False,
) -> str:
    """The element that ``book/_ext/afm_host.js`` turns into the live widget ``name``.

    state: where it starts. label: what a screen reader calls it. id: its own on the page and in
    addresses, by default the name. record: a file under ``records/`` whose data join the state.
    wide: whether it takes the page's wide column.
    Raises ``ValueError`` for a state that JSON cannot hold.
    """
    # "<" is escaped, as "</script>" in a text would end the element.
    inline_state = json.dumps(state, allow_nan=False).replace("<", "\\u003c")
    id = html.escape(id or name.replace("_", "-"))
    name = html.escape(name)
    label = html.escape(label)
    classes = "course-widget cw-wide" if wide else "course-widget"
    marks = f' id="{id}" data-afm="{name}"'
    if record:
        marks += f' data-afm-record="{html.escape(record)}"'
    return (
        f'<div class="{classes}"{marks} role="group" aria-label="{label}">'
        f'<script type="application/json">{inline_state}</script>'
        f"<p>{label}{tr(IN_A_NOTEBOOK)}</p></div>"
    )


def outputs_are_stored() -> bool:
    """Whether ipywidgets asks a widget for its output, which may then carry ``text/html`` as well.

    ipywidgets 7 (Colab) displays through ``_ipython_display_`` and never asks.
    """
    import ipywidgets

    major = int(ipywidgets.__version__.split(".")[0])
    return major >= 8
