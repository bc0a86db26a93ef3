"""Plain ipywidgets sliders that drive Python in a running notebook.

The sliders redraw one ``HTML`` widget through ``observe``: that works in JupyterLab, in VS Code and
on Colab's ipywidgets 7, which neither ``interact`` nor tabs do everywhere. A page without a kernel
shows the picture of the sliders' first position; the chapter's explorer is what moves there.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from utils.book.words import tr
from utils.sampling.settings import SLIDERS
from utils.validate import choice, integer, require
from utils.widgets.shared.static import outputs_are_stored

if TYPE_CHECKING:
    from torch import Tensor

# ---- pictures of a distribution and of a text, as HTML

TABLE_STYLE = "width:100%;max-width:38em;border-collapse:collapse"
NAME_STYLE = "font-family:monospace;white-space:pre;width:9em;text-align:left"
TRACK_STYLE = "position:relative;height:1.3em"
BAR_STYLE = "position:absolute;top:.25em;height:.8em;left:0;background:#0072B2"
MARK_STYLE = "position:absolute;top:.1em;height:1.1em;width:2px;background:#D55E00"
NUMBER_STYLE = "width:4.5em;text-align:right;font-variant-numeric:tabular-nums"

DARKEST_NATS = 10  # the surprise from which a token's ground is no darker
DARKEST = 0.75  # its opacity


def shown(text: str) -> str:
    """A token's text with its spaces and line breaks made visible, escaped for HTML."""
    return html.escape(text.replace(" ", "␣").replace("\n", "↵")) or "∅"


def bars(
    labels: Sequence[str], probs: Sequence[float], before: Sequence[float] | None = None
) -> str:
    """HTML with one bar per label.

    With ``before``, a mark shows where each was; a label that is now at 0 is struck out.
    Raises ``ValueError`` if the lengths differ.
    """
    expected = f"of length {len(labels)}, one per label"
    require(len(probs) == len(labels), "probs", expected, probs)
    if before is not None:
        require(len(before) == len(labels), "before", f"None or {expected}", before)

    longest = max([*probs, *(before or ()), 1e-9])
    rows = []
    for i, (label, p) in enumerate(zip(labels, probs, strict=True)):
        name = shown(label)
        if p == 0:
            name = f"<s>{name}</s>"
        bar = f'<b style="{BAR_STYLE};width:{100 * p / longest:.1f}%"></b>'
        if before is not None:
            bar += f'<i style="{MARK_STYLE};left:{100 * before[i] / longest:.1f}%"></i>'
        rows.append(f'<tr><td style="{NAME_STYLE}">{name}</td><td style="{TRACK_STYLE}">{bar}</td>')
        rows.append(f'<td style="{NUMBER_STYLE}">{100 * p:.1f}%</td></tr>')
    return f'<table style="{TABLE_STYLE}">{"".join(rows)}</table>'


def top_tokens(tokenizer: Any, logits: Tensor, processed: Tensor, rows: int = 12) -> str:
    """`bars` of the model's ``rows`` likeliest tokens after decoding settings.

    Marks show them before. A smaller vocabulary is shown whole. ``logits`` and ``processed`` have
    shape (vocab_size,).
    """
    rows = min(integer("rows", rows, 1), logits.shape[-1])
    before = logits.softmax(-1)  # (V,)
    after = processed.softmax(-1)  # (V,)
    best = before.topk(rows).indices  # (rows,)
    labels = [tokenizer.decode([i]) for i in best.tolist()]
    return bars(labels, after[best].tolist(), before[best].tolist())


def coloured(tokenizer: Any, ids: Sequence[int], logprobs: Sequence[float]) -> str:
    """HTML: the text, each token on a ground that is darker the more it surprised the model.

    ``logprobs``: the natural logarithm of the probability that the model gave to each of ``ids``.
    """
    parts = []
    for token, logprob in zip(ids, logprobs, strict=True):
        surprise = -logprob  # in nats
        opacity = min(surprise, DARKEST_NATS) / DARKEST_NATS * DARKEST
        text = html.escape(tokenizer.decode([token])).replace("\n", "↵<br>")
        ground = f"background:rgba(213,94,0,{opacity:.2f})"
        title = tr("{x} nats", x=f"{surprise:.1f}")
        parts.append(f'<span title="{title}" style="{ground}">{text}</span>')
    return f'<p style="max-width:42em;white-space:pre-wrap">{"".join(parts)}</p>'


# ---- sliders


class Panel(ipywidgets.VBox):
    """Sliders above an ``HTML`` that ``draw(**values)`` fills.

    ``names`` are keys of `utils.sampling.settings.SLIDERS`; ``others`` are further widgets with a
    ``value``. A setting that ``draw`` refuses with a ``ValueError`` is shown, not raised. With
    ``live=False`` it redraws when a slider is let go rather than while it moves.
    Raises ``ValueError`` for a name that has no slider.
    """

    def __init__(
        self, draw: Callable[..., str], *names: str, live: bool = True, **others: ipywidgets.Widget
    ):
        self.draw = draw
        self.controls: dict[str, Any] = dict(others)
        for name in names:
            choice("name", name, tuple(SLIDERS))
            self.controls[name] = _slider(name, live)
        for control in self.controls.values():
            control.style.description_width = "10em"
            control.layout.width = "min(36em, 95%)"
            control.observe(lambda change: self.refresh(), names="value")
        self.defaults = self.values()
        self.output = ipywidgets.HTML()
        self.quiet = False  # while several controls are set at once
        reset = ipywidgets.Button(description=tr("reset"))
        reset.on_click(lambda button: self.reset())
        super().__init__([*self.controls.values(), reset, self.output])
        self.refresh()

    def values(self) -> dict[str, Any]:
        """What the controls stand at."""
        return {name: control.value for name, control in self.controls.items()}

    def refresh(self) -> None:
        """Draw for the present values."""
        if self.quiet:
            return
        try:
            self.output.value = self.draw(**self.values())
        except ValueError as error:
            self.output.value = f"<p><b>{tr('Refused:')}</b> {html.escape(str(error))}</p>"

    def reset(self) -> None:
        """Put every control back, and draw once."""
        self.quiet = True
        for name, value in self.defaults.items():
            self.controls[name].value = value
        self.quiet = False
        self.refresh()

    def static_html(self) -> str:
        """What a page without a kernel shows: where the sliders stand, and what they drew."""
        settings = []
        for name, value in self.values().items():
            settings.append(f"{html.escape(name)} = {html.escape(str(value))}")
        note = tr(
            "The sliders move in a running notebook. Here they stand at {settings}.",
            settings=", ".join(settings),
        )
        return f"<div><p><em>{note}</em></p>{self.output.value}</div>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        live = super()._repr_mimebundle_(**kwargs)
        if live is None or not outputs_are_stored():
            return live
        data, metadata = live if isinstance(live, tuple) else (live, {})
        return {**data, "text/html": self.static_html()}, metadata


def _slider(name: str, live: bool) -> ipywidgets.Widget:
    """A slider for the setting ``name``: of whole numbers where its default is one."""
    default, low, high, step = SLIDERS[name]
    kind = ipywidgets.IntSlider if isinstance(default, int) else ipywidgets.FloatSlider
    return kind(
        value=default, min=low, max=high, step=step, description=name, continuous_update=live
    )
