"""Small samples of large tensors, copied into one buffer: what a watched step pays for.

A sample is made of pairs: the same feature of two samples of the batch. It stands for the
distribution of all values, and its pairs tell the spread over samples from that over features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

# How far the first value moves from pass to pass: a prime, so that all places come up.
_TURN = 7919


@dataclass(frozen=True, slots=True)
class Pairing:
    """Where the values of a sample of pairs lie in a dense tensor of N samples by F features.

    Attributes:
        pairs: How many.
        stride: Elements from one pair to the next; coprime with what it walks through, as a plain
            one would read a single channel only.
        lag: Elements between the two of a pair, a multiple of F.
        slack: Places at which the first pair may lie.
    """

    pairs: int
    stride: int
    lag: int
    slack: int


@lru_cache(maxsize=8192)
def pairing(rows: int, features: int, values: int) -> Pairing:
    """Return the sample of at most `values` values of a (rows, features) tensor.

    The partner is about half of the batch away, though not exactly: with two views of every
    example in one batch the two halves are alike.
    """
    apart = max(1, (rows - 1) // 2) if rows > 1 else 0
    reach = (rows - apart) * features
    stride = max(1, math.ceil(2 * reach / values))
    # Upwards, at the price of some pairs: a shorter stride would not reach the end.
    while math.gcd(stride, reach) != 1:
        stride += 1
    pairs = max(1, min(values // 2, reach // stride))
    return Pairing(pairs, stride, apart * features, reach - stride * (pairs - 1))


@lru_cache(maxsize=8192)
def coprime_stride(size: int, count: int) -> int:
    """Return the largest stride that is coprime with the size and fits `count` values."""
    stride = max(1, size // count)
    while math.gcd(stride, size) != 1:
        stride -= 1
    return stride


class SampleBuffer:
    """Samples of pairs of many tensors, one a row, in one preallocated tensor.

    Args:
        values: Of a row, an even number.
        rows: That fit.

    Attributes:
        counts: Pairs in each row that is taken.
    """

    def __init__(self, values: int, rows: int) -> None:
        self.values = values
        self.counts: list[int] = []
        self._capacity = rows
        self._buffer: Tensor | None = None
        self._halves: list[Tensor] = []

    @property
    def full(self) -> bool:
        """No row is left."""
        return len(self.counts) >= self._capacity

    def take(self, tensor: Tensor, turn: int) -> None:
        """Copy a sample of a tensor of any layout into the next row.

        Args:
            tensor: Not empty; its first dimension is that of the samples.
            turn: Of the pass, so that each one takes other places.
        """
        rows = tensor.shape[0] if tensor.dim() else 1
        plan = pairing(rows, tensor.numel() // rows, self.values)
        if not (tensor.is_contiguous()
                or tensor.dim() == 4
                and tensor.is_contiguous(memory_format=torch.channels_last)):
            tensor = tensor.contiguous()
        place = tensor.storage_offset() + turn * _TURN % plan.slack
        found = tensor.as_strided((2, plan.pairs), (plan.lag, plan.stride), place)
        self._row(tensor.device, plan.pairs).copy_(found)

    def drain(self) -> tuple[Tensor, Tensor, list[int]]:
        """Return what was taken and let the rows be used again.

        Returns:
            (R, 2, P) the pairs, zero where a row has fewer than P; valid until the next `take`.
            (R, P) whether there is a pair. And the number of pairs of each row.
        """
        assert self._buffer is not None
        counts, self.counts = self.counts, []
        taken = self._buffer[: len(counts)]
        pairs = taken.shape[2]
        sizes = torch.tensor(counts, device=taken.device)
        valid = torch.arange(pairs, device=taken.device) < sizes.unsqueeze(1)
        if min(counts) < pairs:
            # A row still holds what an earlier, larger tensor has left in it.
            taken.masked_fill_(~valid.unsqueeze(1), 0.0)
        return taken, valid, counts

    def _row(self, device: torch.device, pairs: int) -> Tensor:
        if self._buffer is None:
            # What is made in inference mode could not be written to outside of it.
            with torch.inference_mode(False):
                self._buffer = torch.zeros(self._capacity, 2, self.values // 2, device=device)
            self._halves = list(self._buffer.unbind())
        row = self._halves[len(self.counts)]
        self.counts.append(pairs)
        return row if pairs == self.values // 2 else row[:, :pairs]
