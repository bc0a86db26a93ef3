"""utils.models.budget: its counts are those of the model that is built, and it refuses nonsense.

The page's numbers are compared with these in ``tests/widgets/parameter_budget``.
"""

import json
import random

import pytest

from utils.models.budget import count_parameters, page_data, training_days
from utils.models.presets import PRESETS, Shape


@pytest.mark.parametrize("seed", range(12))
def test_count_equals_the_model_that_is_built(seed) -> None:
    torch = pytest.importorskip("torch")
    from utils.models.gpt import GPT, GPTConfig

    rng = random.Random(seed)
    n_head = rng.choice([1, 2, 4, 6])
    config = GPTConfig(
        style=rng.choice(["gpt2", "llama"]),
        vocab_size=rng.randint(2, 999),
        context_length=rng.randint(1, 99),
        n_layer=rng.randint(1, 3),
        n_head=n_head,
        d_model=n_head * 2 * rng.randint(1, 9),
        n_kv_head=rng.choice([1, n_head]),
        d_ff=rng.randint(1, 99),
        tie_embeddings=rng.random() < 0.5,
    )
    with torch.device("meta"):
        model = GPT(config)
    assert count_parameters(config) == model.num_parameters()


def test_training_days_refuses_an_impossible_share() -> None:
    with pytest.raises(ValueError, match=r"utilisation must be a number in \(0, 1\], got 0"):
        training_days(1e18, "H100", utilisation=0)


@pytest.mark.parametrize("flops", [-1, float("nan"), float("inf"), "1", None])
def test_days_need_a_finite_number_of_operations(flops):
    with pytest.raises(ValueError, match=r"^flops must be a number in \[0, inf\), got") as error:
        training_days(flops, "A100")
    assert "\n" not in str(error.value)
    assert training_days(0, "A100") == 0


@pytest.mark.parametrize("tied", ["no", 0, None])
def test_tied_is_true_or_false(tied):
    shape = PRESETS["gpt2"]["shape"]
    with pytest.raises(ValueError, match="^tie_embeddings must be True or False, got"):
        Shape(**vars(shape) | {"tie_embeddings": tied})


def test_the_page_gets_every_preset_as_plain_data():
    data = page_data()
    assert json.loads(json.dumps(data)) == data
    assert list(data["PRESETS"]) == list(PRESETS)
    for name, flat in data["PRESETS"].items():
        preset = PRESETS[name]
        sizes = {size: flat[size] for size in vars(preset["shape"])}
        assert Shape(**sizes) == preset["shape"]
        facts = {key: value for key, value in flat.items() if key not in sizes}
        assert facts == {key: value for key, value in preset.items() if key != "shape"}


def test_the_page_gets_no_number_of_heads_that_only_follows_from_another():
    grouped = {name for name, flat in page_data()["PRESETS"].items() if flat["n_kv_head"]}
    assert grouped == {"llama3-8b", "llama3-70b", "llama3.2-1b"}
