"""Plain ipywidgets sliders that drive Python in a running notebook, and a choice of model to drive.

The sliders redraw one ``HTML`` widget through ``observe``: that works in JupyterLab, in VS Code and on
Colab's ipywidgets 7, which neither ``interact`` nor tabs do everywhere. A page without a kernel shows the
picture of the sliders' first position; the chapter's explorer is what moves there.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from torch import Tensor

from utils.validate import choice, integer, require

# name: (default, low, high, step). The ranges are those of OpenAI's API where it has the setting.
SLIDERS = {
    "temperature": (1.0, 0.0, 3.0, 0.05),
    "top_k": (0, 0, 200, 1),
    "top_p": (1.0, 0.0, 1.0, 0.01),
    "min_p": (0.0, 0.0, 1.0, 0.01),
    "repetition_penalty": (1.0, 0.5, 2.0, 0.05),
    "frequency_penalty": (0.0, -2.0, 2.0, 0.1),
    "presence_penalty": (0.0, -2.0, 2.0, 0.1),
    "seed": (0, 0, 99, 1),
}


def shown(text: str) -> str:
    """A token's text with its spaces and line breaks made visible, escaped for HTML."""
    return html.escape(text.replace(" ", "␣").replace("\n", "↵")) or "∅"


def bars(
    labels: Sequence[str], probs: Sequence[float], before: Sequence[float] | None = None
) -> str:
    """HTML, a bar a label. With ``before``, a mark shows where it was; a label now at 0 is struck out."""
    require(len(probs) == len(labels), "probs", f"of length {len(labels)}, one a label", probs)
    ok = before is None or len(before) == len(labels)
    require(ok, "before", f"None or of length {len(labels)}, one a label", before)
    top = max([*probs, *(before or ()), 1e-9])
    rows = []
    for i, (label, p) in enumerate(zip(labels, probs, strict=True)):
        was = "" if before is None else f'<i style="{_MARK};left:{100 * before[i] / top:.1f}%"></i>'
        name = f"<s>{shown(label)}</s>" if p == 0 else shown(label)
        bar = f'<b style="{_BAR};width:{100 * p / top:.1f}%"></b>{was}'
        rows.append(f'<tr><td style="{_NAME}">{name}</td><td style="{_TRACK}">{bar}</td>')
        rows.append(f'<td style="{_NUMBER}">{100 * p:.1f}%</td></tr>')
    return (
        f'<table style="width:100%;max-width:38em;border-collapse:collapse">{"".join(rows)}</table>'
    )


_NAME = "font-family:monospace;white-space:pre;width:9em;text-align:left"
_TRACK = "position:relative;height:1.3em"
_BAR = "position:absolute;top:.25em;height:.8em;left:0;background:#0072B2"
_MARK = "position:absolute;top:.1em;height:1.1em;width:2px;background:#D55E00"
_NUMBER = "width:4.5em;text-align:right;font-variant-numeric:tabular-nums"


def top_tokens(tokenizer: Any, logits: Tensor, processed: Tensor, rows: int = 12) -> str:
    """`bars` of the model's ``rows`` likeliest tokens after decoding settings; marks show them before.

    A smaller vocabulary is shown whole. ``logits`` and ``processed`` have shape (vocab_size,).
    """
    rows = min(integer("rows", rows, 1), logits.shape[-1])
    before, after = logits.softmax(-1), processed.softmax(-1)
    best = before.topk(rows).indices.tolist()
    labels = [tokenizer.decode([i]) for i in best]
    return bars(labels, after[best].tolist(), before[best].tolist())


def coloured(tokenizer: Any, ids: Sequence[int], logprobs: Sequence[float]) -> str:
    """HTML: the text, each token on a ground that is darker the more it surprised (up to 10 nats)."""
    parts = []
    for token, logprob in zip(ids, logprobs, strict=True):
        depth = min(-logprob, 10) / 10 * 0.75
        text = html.escape(tokenizer.decode([token])).replace("\n", "↵<br>")
        title = f"{-logprob:.1f} nats"
        parts.append(
            f'<span title="{title}" style="background:rgba(213,94,0,{depth:.2f})">{text}</span>'
        )
    return f'<p style="max-width:42em;white-space:pre-wrap">{"".join(parts)}</p>'


class Panel(ipywidgets.VBox):
    """Sliders above an ``HTML`` that ``draw(**values)`` fills; a refused setting is shown, not raised.

    ``names`` are keys of ``SLIDERS``; ``others`` are further widgets with a ``value``. With ``live=False``
    it redraws when a slider is let go rather than while it moves.
    """

    def __init__(
        self, draw: Callable[..., str], *names: str, live: bool = True, **others: ipywidgets.Widget
    ):
        self.draw, self.controls = draw, dict(others)
        for name in names:
            default, low, high, step = SLIDERS[choice("name", name, tuple(SLIDERS))]
            kind = ipywidgets.IntSlider if isinstance(default, int) else ipywidgets.FloatSlider
            self.controls[name] = kind(
                value=default,
                min=low,
                max=high,
                step=step,
                description=name,
                continuous_update=live,
            )
        for control in self.controls.values():
            control.style.description_width = "10em"
            control.layout.width = "min(36em, 95%)"
            control.observe(lambda change: self.refresh(), names="value")
        self.defaults = {name: control.value for name, control in self.controls.items()}
        self.output = ipywidgets.HTML()
        self.quiet = False
        reset = ipywidgets.Button(description="reset")
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
            self.output.value = f"<p><b>Refused:</b> {html.escape(str(error))}</p>"

    def reset(self) -> None:
        """Put every control back, and draw once."""
        self.quiet = True
        for name, value in self.defaults.items():
            self.controls[name].value = value
        self.quiet = False
        self.refresh()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        # ipywidgets 7 (Colab) displays through _ipython_display_ and never comes here for its output.
        if bundle is None or int(ipywidgets.__version__.split(".")[0]) < 8:
            return bundle
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        settings = ", ".join(
            f"{html.escape(k)} = {html.escape(str(v))}" for k, v in self.values().items()
        )
        note = f"<p><em>The sliders move in a running notebook. Here they stand at {settings}.</em></p>"
        return {**data, "text/html": f"<div>{note}{self.output.value}</div>"}, metadata
