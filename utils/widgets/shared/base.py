"""What the course's widgets share: where their files are, and what a page without a kernel shows.

A stored notebook output cannot hold a live kernel. So each widget's output also carries ``text/html``: an
element that names the widget and its settings, which the book's host script brings to life. It never holds
arrays of the live run, because nbval compares ``text/html`` strictly; data travels as a committed record.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import ipywidgets

from utils.validate import integer, number, require
from utils.widgets.shared.bundle import bundle

WIDGETS = Path(__file__).parents[1]


class CourseWidget(anywidget.AnyWidget):
    """A widget whose front end is ``NAME/widget.mjs``, styled by ``shared/widgets.css`` and ``NAME/widget.css``.

    A subclass states ``module`` (NAME) and ``label`` (what a screen reader calls it), and tags with
    ``page=True`` the traits that the static page needs; those must be numbers, texts or ``None``.
    ``record`` names a file under ``records/`` whose data join them there.
    """

    module: str
    label: str
    record: str = ""
    limits: ClassVar[
        dict[str, tuple[float, float]]
    ] = {}  # of the settings that are numbers, as in the front end

    def __init__(self, **settings: Any) -> None:
        for name, value in settings.items():
            known = ", ".join(sorted(self.trait_names(page=True)))
            require(self.has_trait(name), "setting", f"one of {known}", name)
            if value is not None and name in self.limits:
                low, high = self.limits[name]
                (integer if isinstance(low, int) else number)(name, value, low, high)
        super().__init__(**settings)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "module" in cls.__dict__:
            folder = WIDGETS / cls.module
            styles = (WIDGETS / "shared" / "widgets.css", folder / "widget.css")
            cls._esm = bundle(folder / "widget.mjs")
            cls._css = "\n".join(
                path.read_text(encoding="utf-8") for path in styles if path.is_file()
            )
        super().__init_subclass__(**kwargs)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.page_state().items())
        return f"{type(self).__name__}({settings})"

    def page_state(self) -> dict[str, Any]:
        """The settings that the static page starts from: traits tagged ``page=True`` that are set."""
        state = {name: getattr(self, name) for name in sorted(self.trait_names(page=True))}
        return {name: value for name, value in state.items() if value is not None}

    def static_html(self) -> str:
        """The element that ``book/_ext/afm_host.js`` turns into the live widget on a static page."""
        state = json.dumps(self.page_state(), allow_nan=False).replace("<", "\\u003c")
        marks = f' id="{html.escape(self.module.replace("_", "-"))}" data-afm="{html.escape(self.module)}"'
        if self.record:
            marks += f' data-afm-record="{html.escape(self.record)}"'
        label = html.escape(self.label)
        return (
            f'<div class="course-widget"{marks} role="group" aria-label="{label}">'
            f'<script type="application/json">{state}</script>'
            f"<p>{label}: interactive in the course's web pages and in a running notebook.</p></div>"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        # ipywidgets 7 (Colab) displays through _ipython_display_ and never comes here for its output.
        if bundle is None or int(ipywidgets.__version__.split(".")[0]) < 8:
            return bundle
        data, metadata = bundle
        return {**data, "text/html": self.static_html()}, metadata
