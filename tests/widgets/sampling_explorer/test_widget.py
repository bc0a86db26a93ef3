"""The sampling explorer without a browser: JavaScript = Python, record, class."""

from __future__ import annotations

import random
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments.sampling.explorer_data import entropy, repeated_mass
from tests.node import node
from utils import records
from utils.models.course import load
from utils.sampling.pipelines import Pipeline
from utils.sampling.settings import ENGINES
from utils.sampling.transforms import sample
from utils.widgets.sampling_explorer.positions import RECORD, next_logits, pack, unpack
from utils.widgets.sampling_explorer.widget import SamplingExplorer

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
)
CASES = 800


@pytest.fixture(scope="module")
def explorer() -> dict:
    return records.load(RECORD).data


def random_settings(rng: random.Random) -> dict:
    engine = rng.choice(tuple(ENGINES))
    usual = {
        "temperature": rng.choice(
            [0.0, 0.004, 0.3, 0.7, 1.0, 1.5, 3.0, 10 ** rng.uniform(-1, 0.5)]
        ),
        "top_k": rng.choice([0, 1, 2, 5, 40, 50, 500, 4096, 9999, rng.randint(1, 4096)]),
        "top_p": rng.choice([0.0, 0.1, 0.5, 0.9, 0.95, 1.0, rng.random()]),
        "min_p": rng.choice([0.0, 0.001, 0.05, 0.3, 1.0, rng.random()]),
        "repetition_penalty": rng.choice([0.5, 1.1, 1.5, 2.0]),
        "frequency_penalty": rng.choice([-2.0, -0.5, 0.3, 2.0]),
        "presence_penalty": rng.choice([-1.0, 0.7, 2.0]),
    }
    chosen = {name: x for name, x in usual.items() if rng.random() < 0.5}
    if engine == "transformers" and chosen.get("temperature") == 0:
        chosen["temperature"] = 1.3  # refused there; the explorer shows greedy decoding and says so
    return {"engine": engine, **chosen}


def harder(logits: list[torch.Tensor], rng: random.Random) -> list[torch.Tensor]:
    """The same rows with removed tokens, likely ones among them, and with logits of every size."""
    rows = []
    for z in logits:
        n_likely, n_other = rng.randint(0, 5), rng.choice([0, 1, 2000, 4000])
        gone = [*z.topk(n_likely).indices.tolist(), *rng.sample(range(len(z)), n_other)]
        scale = rng.choice([1.0, 1.0, 1e-310, 1e30, 1e300])
        rows.append((z * scale).index_fill(0, torch.tensor(gone, dtype=torch.int64), -torch.inf))
    return rows


def test_javascript_equals_python(explorer, tmp_path) -> None:
    rng, positions = random.Random(0), explorer["prompts"]
    logits = [torch.from_numpy(unpack(p)) for p in positions]
    logits += harder(logits, rng)
    cases, probs = [], []
    for _ in range(CASES):
        at, settings = rng.randrange(len(logits)), random_settings(rng)
        position = positions[at % len(positions)]
        prompt, output = position["prompt_ids"], position["output_ids"]
        if rng.random() < 0.3:  # longer than every engine's window, and likely tokens among them
            likely = logits[at].topk(20).indices.tolist()
            output = [
                rng.choice(likely) if rng.random() < 0.3 else rng.randrange(4096) for _ in range(90)
            ]
        pipeline = Pipeline(**settings, ignore_unsupported=True)
        steps = pipeline.report(logits[at], prompt, output)
        p, u = steps[-1].logits.softmax(-1), rng.random()
        probs.append(p.numpy())
        reported = [
            {
                "kept": int(s.kept_count),
                "removed": float(s.removed_mass),
                "entropy": float(s.entropy),
                "perplexity": float(s.perplexity),
            }
            for s in steps
        ]
        case = {"position": at, "prompt": prompt, "output": output, "settings": settings, "u": u}
        cases.append(
            {**case, "order": pipeline.order, "steps": reported, "token": int(sample(p, u))}
        )
    np.stack(probs).tofile(tmp_path / "probs.f64")
    torch.stack(logits).numpy().tofile(tmp_path / "logits.f64")
    engines = {
        name: {
            "order": [s for s in e.order if s in SETTINGS],
            "ties": e.ties,
            "last_n": e.last_n,
            "output_only": sorted(e.output_only),
        }
        for name, e in ENGINES.items()
    }
    fixture = {
        "probs": str(tmp_path / "probs.f64"),
        "logits": str(tmp_path / "logits.f64"),
        "vocab_size": len(explorer["vocab"]),
        "positions": [{key: p[key] for key in ("logits", "scale")} for p in positions],
        "cases": cases,
        "engines": engines,
    }
    node("sampling_explorer/sampling_explorer.test.mjs", fixture, tmp_path)


# ---- what is recorded


@pytest.fixture(scope="module")
def course():
    return load()


def test_the_record_is_of_the_present_model(explorer, course) -> None:
    model, tokenizer = course
    assert len(explorer["prompts"]) >= 12
    for item in explorer["prompts"]:
        assert tokenizer.encode(item["prompt"]).ids == item["prompt_ids"]
        z = next_logits(model, item["prompt_ids"] + item["output_ids"]).double().numpy()
        apart = np.abs(unpack(item) - z).max()
        # Half a step of the rounding, and what float32 differs by between machines.
        assert apart < 0.5 * item["scale"] + 1e-3, (
            "run python -m experiments.sampling.explorer_data again"
        )
    assert len({item["key"] for item in explorer["prompts"]}) == len(explorer["prompts"])
    assert len(explorer["vocab"]) == model.config.vocab_size


def test_the_recorded_distributions_are_instructive(explorer) -> None:
    kinds = {
        kind: [p for p in explorer["prompts"] if p["kind"] == kind]
        for kind in ("peaked", "flat", "repeating")
    }
    assert all(len(items) >= 3 for items in kinds.values())
    assert max(map(entropy, kinds["peaked"])) + 1 < min(map(entropy, kinds["flat"]))
    assert min(map(entropy, kinds["peaked"])) < 1
    assert max(map(repeated_mass, kinds["repeating"])) > 0.5


def test_packing_keeps_signs_and_half_a_step() -> None:
    z = np.random.default_rng(0).normal(scale=5, size=1000)
    packed = pack(z)
    assert np.abs(unpack(packed) - z).max() <= packed["scale"] / 2 * (1 + 1e-9)
    assert unpack(pack(np.zeros(3))).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="logits must be finite"):
        pack([0.0, -np.inf])


# ---- the class


def test_the_learners_own_model(course) -> None:
    model, tokenizer = course
    widget = SamplingExplorer(
        model, tokenizer, ["Once upon a", ("The king", " said,")], engine="mlx", top_k=40
    )
    first, second = widget.prompts
    assert second["output_ids"] == tokenizer.encode(" said,").ids
    wanted = next_logits(model, tokenizer.encode("Once upon a").ids)
    assert np.abs(unpack(first) - wanted.numpy()).max() < first["scale"]
    assert widget.vocab[tokenizer.encode(" the").ids[0]] == " the"
    html = widget.static_html()
    assert '{"engine": "mlx", "top_k": 40}' in html  # settings, never the live run's arrays
    assert f'data-afm-record="{RECORD}.json"' in html


def test_a_model_that_answers_as_those_of_transformers_do() -> None:
    class Flat(torch.nn.Linear):
        config = SimpleNamespace(vocab_size=4096)

        def forward(self, ids):
            return SimpleNamespace(logits=torch.zeros(*ids.shape, 4096), past_key_values=None)

    widget = SamplingExplorer(Flat(1, 1), load()[1], ["It was"])
    assert entropy(widget.prompts[0]) == pytest.approx(np.log(4096))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": ["a"]}, "tokenizer must be given with a model"),
        ({"tokenizer": 1}, "prompts must be a list of at least one text"),
        (
            {"tokenizer": 1, "prompts": "It was"},
            "prompts must be a list of at least one text, got 'It was'",
        ),
        ({"tokenizer": load()[1], "prompts": [""]}, "prompts must be made of non-empty texts"),
        ({"tokenizer": load()[1], "prompts": ["\ud800"]}, "prompts must be text without half"),
        ({"tokenizer": load()[1], "prompts": [("a", "\ud800")]}, "prompts must be text without"),
    ],
)
def test_the_class_refuses_in_one_line(course, arguments, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SamplingExplorer(course[0], **arguments)
