"""utils.models.config: numbers that make no model are refused in one line."""

import pytest

from utils.models.config import GPTConfig


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (dict(d_model=30, n_head=4), "d_model must be a multiple of 2 n_head = 8, got 30"),
        (
            dict(style="gpt2", d_model=30, n_head=4),
            "d_model must be a multiple of n_head = 4, got 30",
        ),
        (dict(n_head=4, n_kv_head=3), "n_kv_head must be a divisor of n_head = 4, got 3"),
        (dict(n_layer=0), "n_layer must be a whole number of at least 1, got 0"),
        (dict(style="bert"), "style must be one of 'gpt2', 'llama', got 'bert'"),
        (dict(tie_embeddings="no"), "tie_embeddings must be True or False, got 'no'"),
        (dict(vocab_size=1.5), "vocab_size must be a whole number"),
    ],
)
def test_bad_configurations_are_refused_in_one_line(fields, line):
    with pytest.raises(ValueError, match=line) as error:
        GPTConfig(**fields)
    assert "\n" not in str(error.value)
