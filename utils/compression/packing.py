"""Codes of 2 to 8 bits, really packed into bytes.

The order of the bits: code i takes the bits from b·i to b·(i + 1) − 1 of one long stream, its
lowest bit first, and bit k of the stream is bit k mod 8, counted from the lowest, of byte k div 8.
So an int4 byte holds two codes, the first one in its lower half; int2 four; and eight int3 codes
fill three bytes. The last byte is filled up with zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor

from utils.validate import integer, require

MIN_BITS = 2
MAX_BITS = 8


def packed_bytes(n: int, bits: int) -> int:
    """Whole bytes that ``n`` codes take.

    >>> packed_bytes(8, bits=3), packed_bytes(3, bits=4)
    (3, 2)
    """
    return -(-n * bits // 8)  # rounded up


def pack(codes: Tensor, bits: int) -> Tensor:
    """Whole numbers from 0 to 2^bits − 1, of any shape, as bytes: uint8 (packed_bytes(n, bits),).

    Raises ``ValueError`` for a code that does not fit.

    >>> pack(torch.tensor([1, 2, 15]), bits=4)  # 1 + 16·2, then 15
    tensor([33, 15], dtype=torch.uint8)
    """
    bits = integer("bits", bits, MIN_BITS, MAX_BITS)
    largest = 2**bits - 1
    flat = codes.flatten().long()  # (n,)
    n = len(flat)
    fits = n > 0 and int(flat.min()) >= 0 and int(flat.max()) <= largest
    require(fits, "codes", f"at least one whole number in [0, {largest}]", codes)

    # Eight codes fill exactly `bits` bytes, so they are put side by side in one long number.
    filled = torch.nn.functional.pad(flat, (0, -n % 8))  # a multiple of 8 codes
    words = torch.zeros(len(filled) // 8, dtype=torch.int64, device=codes.device)
    for i in range(8):
        words |= filled[i::8] << (bits * i)

    # The number is cut into bytes, the lowest one first.
    parts = [(words >> (8 * j)) & 255 for j in range(bits)]
    stream = torch.stack(parts, dim=1).flatten().to(torch.uint8)
    return stream[: packed_bytes(n, bits)].clone()


def unpack(packed: Tensor, bits: int, n: int) -> Tensor:
    """The ``n`` codes that `pack` stored: uint8 (n,).

    Raises ``ValueError`` for a number of bytes that does not belong to ``n`` codes.

    >>> unpack(torch.tensor([33, 15], dtype=torch.uint8), bits=4, n=3)
    tensor([ 1,  2, 15], dtype=torch.uint8)
    """
    bits = integer("bits", bits, MIN_BITS, MAX_BITS)
    n = integer("n", n, 1)
    size = packed_bytes(n, bits)
    fits = packed.dtype == torch.uint8 and packed.shape == (size,)
    require(fits, "packed", f"{size} bytes (uint8)", packed)
    mask = 2**bits - 1

    # Where a byte holds a whole number of codes, each is a shift away.
    if 8 % bits == 0:
        codes = [(packed >> shift) & mask for shift in range(0, 8, bits)]
        return torch.stack(codes, dim=1).flatten()[:n]

    # Elsewhere `bits` bytes are put together to the number that holds eight codes.
    filled = torch.nn.functional.pad(packed, (0, -size % bits)).long()
    words = torch.zeros(len(filled) // bits, dtype=torch.int64, device=packed.device)
    for j in range(bits):
        words |= filled[j::bits] << (8 * j)
    codes = [(words >> (bits * i)) & mask for i in range(8)]
    return torch.stack(codes, dim=1).flatten()[:n].to(torch.uint8)
