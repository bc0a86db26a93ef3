"""Codes come back from their bytes, which stand in the documented order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils.compression.packing import pack, packed_bytes, unpack
from utils.runtime import generator

BITS = range(2, 9)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("n", [1, 7, 8, 9, 64, 1001])
def test_codes_come_back(bits, n):
    codes = torch.randint(0, 2**bits, (n,), generator=generator(bits, "torch"))
    packed = pack(codes, bits)
    assert packed.dtype == torch.uint8
    assert packed.numel() == packed_bytes(n, bits) == int(np.ceil(n * bits / 8))
    back = unpack(packed, bits, n)
    assert back.dtype == torch.uint8
    assert torch.equal(back.long(), codes)


@pytest.mark.parametrize("bits", BITS)
def test_the_bits_stand_in_the_documented_order(bits):
    codes = generator(bits).integers(0, 2**bits, 77)
    stream = (codes[:, None] >> np.arange(bits)) & 1  # lowest bit first
    expected = np.packbits(stream.flatten().astype(np.uint8), bitorder="little")
    assert pack(torch.from_numpy(codes), bits).tolist() == expected.tolist()


def test_int4_has_the_first_code_in_the_lower_half():
    assert pack(torch.tensor([3, 10]), 4).tolist() == [3 + 16 * 10]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"^codes must be .* in \[0, 7\], got"):
        pack(torch.tensor([8]), 3)
    with pytest.raises(ValueError, match="^codes must be at least one"):
        pack(torch.tensor([], dtype=torch.long), 3)
    with pytest.raises(ValueError, match="^bits must be a whole number in"):
        pack(torch.tensor([1]), 9)
    with pytest.raises(ValueError, match="^packed must be 3 bytes"):
        unpack(torch.zeros(4, dtype=torch.uint8), 3, 8)
    with pytest.raises(ValueError, match="^packed must be 3 bytes"):
        unpack(torch.zeros(3), 3, 8)
