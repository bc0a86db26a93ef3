"""utils.sampling.passages: forty stored passages, cut to one length."""

from __future__ import annotations

import pytest

from utils.sampling.passages import held_out_ids


class Characters:
    """A tokenizer whose tokens are characters."""

    def encode(self, text):
        return list(map(ord, text))


def test_the_passages_have_one_length():
    ids = held_out_ids(Characters(), 300)
    assert ids.shape == (40, 300)
    assert held_out_ids(Characters()).tolist() == ids[:, :257].tolist()
    assert len({tuple(row) for row in ids.tolist()}) == 40
    with pytest.raises(ValueError, match="length must be at most"):
        held_out_ids(Characters(), 10_000)
    with pytest.raises(ValueError, match="length must be a whole number of at least 1, got 0"):
        held_out_ids(Characters(), 0)
