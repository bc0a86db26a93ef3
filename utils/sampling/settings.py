"""The one table of sampling settings: what each may be, which engines have it, how pages offer it.

`utils.sampling.pipelines.Pipeline` takes its defaults and its checks from here, the sliders of
notebooks their ranges (``SLIDERS``), and the sampling explorer everything that it shows
(``page_data``), so that a setting is stated once. This file needs neither torch nor NumPy: building
the book reads it.

The same settings give different text in different engines: each fixes its own order, some let
penalties see the prompt, and each offers only some of the settings. What ``ENGINES`` says was read
in

* transformers 5.23: ``generation/utils.py``, ``GenerationMixin._get_logits_processor``;
* vLLM V1: ``vllm/v1/sample/sampler.py`` at 3e342658b2e9c85a30a54d19e64e5ad77b8a26a6,
  ``apply_penalties`` in ``vllm/model_executor/layers/utils.py`` at
  00358600ed52e00c3c99b35e54aa916f900c4c15, and ``vllm/sampling_params.py`` at
  db573835d3ef40643442e0817059e087355cf458;
* llama.cpp: ``common/sampling.cpp`` at 3b3f5fed31ab654c4ed858b98b70df1b9855a2aa, the default chain
  in ``common/common.h`` at de93b991682fa46acabb813641f7f6b884ad5dd0; the rest as in
  `utils.sampling.transforms`;
* mlx-lm: ``make_sampler`` and ``make_logits_processors`` in ``mlx_lm/sample_utils.py`` at
  037c9b3f420538b61594aa730d201e604b572cf7.

Not here: settings that only one engine has (top-h, eta and epsilon cut-offs, mirostat, dynamic
temperature, grammars), and multi-token biases and bad words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from utils.validate import integer, number


@dataclass(frozen=True)
class Setting:
    """One setting: the values that it may take, and how notebooks and pages offer it."""

    kind: str  # "number", "whole" (number), "ids" (a list of token ids) or "biases" (one per id)
    default: Any  # changes nothing; for the details of another setting, an engine's usual value
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False  # whether ``low`` itself is refused
    argument: str = ""  # what the transform calls it, where that differs from the setting's name
    detail_of: str = ""  # the setting that this one only refines; alone it does nothing
    slider: tuple[float, float, float] | None = None  # in notebooks: low, high, step
    label: str = ""  # in the explorer
    page_range: tuple[float, float] | None = None  # what the explorer and its links accept
    stops: tuple[float, ...] = ()  # the positions of the explorer's slider


def _every(low: int, high: int, parts: int) -> tuple[float, ...]:
    """The numbers low/parts, (low + 1)/parts, … high/parts: no rounding error adds up.

    >>> _every(-2, 2, 10)
    (-0.2, -0.1, 0.0, 0.1, 0.2)
    """
    return tuple(n / parts for n in range(low, high + 1))


# Slider ranges are those of OpenAI's API where it has the setting.
SETTINGS: dict[str, Setting] = {
    "temperature": Setting(
        kind="number",
        default=1.0,
        low=0.0,
        slider=(0.0, 3.0, 0.05),
        label="Temperature",
        page_range=(0.0, 3.0),
        stops=_every(0, 60, 20),
    ),
    "top_k": Setting(
        kind="whole",
        default=0,
        low=0,
        slider=(0, 200, 1),
        label="Top-k",
        page_range=(0, 262144),
        # Fine where a step still shows, coarse where the tokens are rare.
        stops=(
            *range(21),
            *(25, 30, 40, 50, 60, 80, 100, 150, 200),
            *(300, 500, 750, 1000, 2000, 4000),
        ),
    ),
    "top_p": Setting(
        kind="number",
        default=1.0,
        low=0.0,
        high=1.0,
        slider=(0.0, 1.0, 0.01),
        label="Top-p",
        page_range=(0.0, 1.0),
        stops=_every(0, 100, 100),
    ),
    "min_p": Setting(
        kind="number",
        default=0.0,
        low=0.0,
        high=1.0,
        slider=(0.0, 1.0, 0.01),
        label="Min-p",
        page_range=(0.0, 1.0),
        # Finest near zero, where one step already removes thousands of tokens.
        stops=(
            *(0.0, 0.001, 0.002, 0.003, 0.005, 0.007),
            *_every(1, 10, 100),
            *_every(3, 20, 20),
        ),
    ),
    "typical_p": Setting(kind="number", default=1.0, low=0.0, high=1.0, open_low=True),
    "top_n_sigma": Setting(kind="number", default=0.0, low=0.0),
    "repetition_penalty": Setting(
        kind="number",
        default=1.0,
        low=0.0,
        open_low=True,
        slider=(0.5, 2.0, 0.05),
        label="Repetition penalty",
        page_range=(0.5, 2.0),
        stops=_every(10, 40, 20),
    ),
    "frequency_penalty": Setting(
        kind="number",
        default=0.0,
        slider=(-2.0, 2.0, 0.1),
        label="Frequency penalty",
        page_range=(-2.0, 2.0),
        stops=_every(-20, 20, 10),
    ),
    "presence_penalty": Setting(
        kind="number",
        default=0.0,
        slider=(-2.0, 2.0, 0.1),
        label="Presence penalty",
        page_range=(-2.0, 2.0),
        stops=_every(-20, 20, 10),
    ),
    "no_repeat_ngram": Setting(kind="whole", default=0, low=0),
    "ban": Setting(kind="ids", default=()),
    "logit_bias": Setting(kind="biases", default=None),
    "dry": Setting(kind="number", default=0.0, low=0.0, argument="dry_multiplier"),
    "dry_base": Setting(kind="number", default=1.75, low=0.0, detail_of="dry"),
    "dry_allowed_length": Setting(kind="whole", default=2, low=1, detail_of="dry"),
    "dry_last_n": Setting(kind="whole", default=-1, low=-1, detail_of="dry"),
    "dry_breakers": Setting(kind="ids", default=(), detail_of="dry"),
    "xtc": Setting(kind="number", default=0.0, low=0.0, high=1.0, argument="xtc_probability"),
    "xtc_threshold": Setting(kind="number", default=0.1, low=0.0, high=1.0, detail_of="xtc"),
    # None: the engine's own window. −1: everything.
    "last_n": Setting(kind="whole", default=None, low=-1, detail_of="repetition_penalty"),
}
# How tokens are drawn, rather than from what.
DRAWING: dict[str, Setting] = {
    "seed": Setting(kind="whole", default=0, low=0, slider=(0, 99, 1), page_range=(0, 2**31 - 1)),
    "draws": Setting(kind="whole", default=0, low=0, page_range=(0, 1000)),
}

DEFAULTS: dict[str, Any] = {name: setting.default for name, setting in SETTINGS.items()}
# The same without details of others: the value of each step of a pipeline at which it does nothing.
OFF: dict[str, Any] = {
    name: setting.default for name, setting in SETTINGS.items() if not setting.detail_of
}
PENALTIES = ("repetition_penalty", "frequency_penalty", "presence_penalty")
TRUNCATIONS = frozenset({"top_k", "top_p", "min_p", "typical_p", "top_n_sigma", "xtc"})


def check(name: str, value: Any) -> Any:
    """Return ``value`` as a plain ``int`` or ``float`` if the table allows it for setting ``name``.

    Raises ``ValueError`` otherwise. The setting must be of kind "number" or "whole".

    >>> check("top_p", 1)
    1.0
    >>> check("top_p", 1.5)
    Traceback (most recent call last):
    ValueError: top_p must be a number in [0, 1], got 1.5
    """
    setting = SETTINGS[name]
    called = setting.argument or name
    if setting.kind == "whole":
        return integer(called, value, int(setting.low))
    return number(called, value, setting.low, setting.high, open_low=setting.open_low)


@dataclass(frozen=True)
class Engine:
    """What an engine fixes. ``order`` names its settings in the order in which they act."""

    label: str
    order: tuple[str, ...]
    ties: str  # its rule at top_k and typical_p, "keep" or "exact": see the transforms
    note: str  # what the explorer says about it
    last_n: int | None = None  # usual window of the penalties, in tokens; None: no such setting
    output_only: frozenset[str] = frozenset()  # penalties that do not see the prompt
    # Temperature 0: "refused", "at_once" (the maximum is taken, truncation ignored), or "in_order".
    greedy: str = "in_order"
    lowest_temperature: float = 0.0  # one between 0 and this is raised to it
    zero_top_p_is_off: bool = False
    xtc_ties: str = "exact"  # its rule at XTC
    highest_xtc_threshold: float = 1.0

    def has(self, name: str) -> bool:
        """Whether the engine has the setting ``name``."""
        if name == "last_n":
            return self.last_n is not None
        return (SETTINGS[name].detail_of or name) in self.order

    def sees_prompt(self, penalty: str) -> bool:
        """Whether ``penalty`` counts the tokens of the prompt as well as those of the output."""
        return penalty not in self.output_only


ENGINES: dict[str, Engine] = {
    # do_sample=True. Temperature 0 is refused: greedy decoding is do_sample=False there.
    "transformers": Engine(
        label="transformers",
        order=(
            *("logit_bias", "repetition_penalty", "no_repeat_ngram", "ban"),
            *("temperature", "top_k", "top_p", "min_p", "typical_p"),
        ),
        ties="keep",
        greedy="refused",
        note="Its penalty sees prompt and output. It has no frequency or presence penalty.",
    ),
    "vllm": Engine(
        label="vLLM",
        order=(
            *("ban", "logit_bias", "repetition_penalty", "frequency_penalty", "presence_penalty"),
            *("temperature", "min_p", "top_k", "top_p"),
        ),
        ties="keep",
        output_only=frozenset({"frequency_penalty", "presence_penalty"}),
        greedy="at_once",
        lowest_temperature=0.01,
        note="The repetition penalty sees prompt and output, the other two the output alone.",
    ),
    # The prompt is fed to the samplers, so penalties see it. A ban is a logit bias of −inf.
    "llama.cpp": Engine(
        label="llama.cpp",
        order=(
            *("ban", "logit_bias", "repetition_penalty", "frequency_penalty", "presence_penalty"),
            *("dry", "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature"),
        ),
        ties="exact",
        last_n=64,
        note="Penalties see the last 64 tokens, the prompt’s included. Temperature comes last.",
    ),
    # A ban is a logit bias of −inf. In batches and in the server penalties see the prompt, as here;
    # `generate_step` of 0.31.3 showed them only its last token (ml-explore/mlx-lm issue 1773).
    "mlx": Engine(
        label="mlx-lm",
        order=(
            *("ban", "logit_bias", "repetition_penalty", "presence_penalty", "frequency_penalty"),
            *("top_p", "min_p", "xtc", "top_k", "temperature"),
        ),
        ties="exact",
        last_n=20,
        greedy="at_once",
        zero_top_p_is_off=True,
        xtc_ties="keep",
        highest_xtc_threshold=0.5,
        note="Penalties see the last 20 tokens, the prompt’s included. Temperature comes last.",
    ),
}

# ---- for notebooks and pages

# The sliders of notebooks: (default, low, high, step). An int as default makes a slider of ints.
SLIDERS: dict[str, tuple[float, float, float, float]] = {
    name: (setting.default, *setting.slider)
    for name, setting in (SETTINGS | DRAWING).items()
    if setting.slider is not None
}
# What the explorer accepts, as (low, high); whole numbers are ints.
PAGE_RANGES: dict[str, tuple[float, float]] = {
    name: setting.page_range
    for name, setting in (SETTINGS | DRAWING).items()
    if setting.page_range is not None
}
# Where the explorer starts; every setting that is not named here starts at its default.
PAGE_START: dict[str, Any] = {"engine": "vllm", "seed": 1, "draws": 0}


def page_data() -> dict[str, Any]:
    """What the sampling explorer's JavaScript needs of this file, ready for ``json.dumps``.

    The keys carry the names that the front end's constants have:

    ``ENGINES``
        for each engine's key, in the order of the menu: ``label``, ``order`` (of the settings that
        the explorer has), ``ties`` ("keep" or "exact"), ``window`` (how many of the latest tokens
        penalties see; null: all), ``outputOnly`` (penalties that do not see the prompt),
        ``greedy`` ("refused", "at_once" or "in_order", see `Engine`), ``lowestTemperature`` and
        ``zeroTopPIsOff`` (true or false)
    ``OFF``
        each slider's value that changes nothing, in the order of the sliders
    ``USUAL``
        where the explorer starts: ``engine``, the values of ``OFF``, ``seed``, ``draws``
    ``RANGES``
        [low, high] for each slider, ``seed`` and ``draws``
    ``WHOLE``
        the names in ``RANGES`` that are whole numbers
    ``STOPS``
        the positions of each slider, ascending
    ``NAMES``
        each slider's label
    ``NOTES``
        a sentence or two about each engine
    ``PENALTIES``, ``TRUNCATIONS``
        the sliders that are of this kind, in the order of ``OFF``
    """
    on_page = [name for name, setting in SETTINGS.items() if setting.stops]
    off = {name: SETTINGS[name].default for name in on_page}
    engines = {
        key: {
            "label": engine.label,
            "order": [name for name in engine.order if name in on_page],
            "ties": engine.ties,
            "window": engine.last_n,
            "outputOnly": sorted(engine.output_only),
            "greedy": engine.greedy,
            "lowestTemperature": engine.lowest_temperature,
            "zeroTopPIsOff": engine.zero_top_p_is_off,
        }
        for key, engine in ENGINES.items()
    }
    return {
        "ENGINES": engines,
        "OFF": off,
        "USUAL": {"engine": PAGE_START["engine"], **off, **PAGE_START},
        "RANGES": {name: list(ends) for name, ends in PAGE_RANGES.items()},
        "WHOLE": [name for name in PAGE_RANGES if (SETTINGS | DRAWING)[name].kind == "whole"],
        "STOPS": {name: list(SETTINGS[name].stops) for name in on_page},
        "NAMES": {name: SETTINGS[name].label for name in on_page},
        "NOTES": {key: engine.note for key, engine in ENGINES.items()},
        "PENALTIES": [name for name in on_page if name in PENALTIES],
        "TRUNCATIONS": [name for name in on_page if name in TRUNCATIONS],
    }
