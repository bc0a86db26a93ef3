"""What the Python classes of the explorers share: their files, their settings, their output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets as t

from utils.book.words import tr
from utils.validate import integer, number, require
from utils.widgets.shared.bundle import bundle
from utils.widgets.shared.static import mount_html, outputs_are_stored

WIDGETS = Path(__file__).parents[1]


def setting(kind: type[t.TraitType]) -> Any:
    """A trait for a setting of this kind; ``None`` leaves it as the explorer starts.

    It is shared with the front end, and stands in the static page where it is set.
    """
    return kind(None, allow_none=True).tag(sync=True, page=True)


def choice_setting(options: Sequence[str]) -> Any:
    """Like `setting`, for one of the texts in ``options``."""
    return t.Enum(tuple(options), None, allow_none=True).tag(sync=True, page=True)


class CourseWidget(anywidget.AnyWidget):
    """A widget whose front end is ``NAME/widget.mjs``.

    ``shared/widgets.css`` and ``NAME/widget.css`` style it. A subclass states ``module`` (NAME) and
    ``label`` (what a screen reader calls it), and makes its settings with `setting` or
    `choice_setting`; those must be numbers, texts or ``None``. ``limits`` gives (low, high) of
    those that are numbers, as in the front end. ``record`` names a file under ``records/`` whose
    data join the settings on a static page.
    Raises ``ValueError`` for a setting that it does not have or that is out of its limits, and a
    ``TraitError`` for one of the wrong type.
    """

    module: str
    label: str
    record: str = ""
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __init__(self, **settings: Any) -> None:
        for name, value in settings.items():
            known = ", ".join(sorted(self.trait_names(page=True)))
            require(self.has_trait(name), "setting", f"one of {known}", name)
            if value is not None and name in self.limits:
                self._check_limits(name, value)
        super().__init__(**settings)

    def _check_limits(self, name: str, value: Any) -> None:
        low, high = self.limits[name]
        if isinstance(low, int):  # the setting is a whole number
            integer(name, value, low, int(high))
        else:
            number(name, value, low, high)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # anywidget reads the two texts from the class. A subclass without a module of its own, such
        # as a learner's, inherits them.
        if "module" in cls.__dict__:
            folder = WIDGETS / cls.module
            styles = (WIDGETS / "shared" / "widgets.css", folder / "widget.css")
            texts = [path.read_text(encoding="utf-8") for path in styles if path.is_file()]
            cls._esm = bundle(folder / "widget.mjs")
            cls._css = "\n".join(texts)
        super().__init_subclass__(**kwargs)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.page_state().items())
        return f"{type(self).__name__}({settings})"

    def page_state(self) -> dict[str, Any]:
        """The settings that the static page starts from: those that are not ``None``."""
        state = {}
        for name in sorted(self.trait_names(page=True)):  # one order, as nbval compares the text
            value = getattr(self, name)
            if value is not None:
                state[name] = value
        return state

    def static_html(self) -> str:
        """The element that stands for the widget on a static page."""
        return mount_html(self.module, self.page_state(), tr(self.label), record=self.record)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        live = super()._repr_mimebundle_(**kwargs)
        if live is None or not outputs_are_stored():
            return live
        data, metadata = live
        return {**data, "text/html": self.static_html()}, metadata
