"""Small samples of large tensors, kept until they are computed: what a watched step pays for.

A sample is made of pairs: the same feature of two samples of the batch. It stands for the
distribution of all values, and its pairs tell the spread over samples from that over features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

# How far the first value moves from pass to pass: a prime, so that all places come up.
_TURN = 7919
# Passes after which a sample begins at the same place again.
_TURNS = 16
# Shapes, at all turns, whose places are remembered.
_MOST_PLACES = 512


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


class Samples:
    """Samples of pairs of many tensors that wait to be computed together.

    Args:
        values: Of a sample, an even number.
        most: Samples that wait at once.
    """

    def __init__(self, values: int, most: int) -> None:
        self._values = values
        self._most = most
        self._taken: list[Tensor] = []
        self._counts: list[int] = []
        # Layers of one shape share them, and a training loop meets the same shapes again.
        self._places: dict[tuple[torch.Size, int, torch.device], tuple[Tensor, int, bool]] = {}

    @property
    def full(self) -> bool:
        """As many wait as may."""
        return len(self._taken) >= self._most

    def take(
        self, tensor: Tensor, turn: int, rest: Callable[[Tensor], Tensor] | None = None,
    ) -> bool:
        """Copy a sample of a tensor of any layout.

        Args:
            tensor: Detached, and not empty; its first dimension is that of the samples.
            turn: Of the pass, so that each one takes other places.
            rest: Applied to what was copied.

        Returns:
            Whether the two of a pair belong to different samples: there are several.
        """
        key = (tensor.shape, turn % _TURNS, tensor.device)
        places, count, several = self._places.get(key) or self._new_places(*key)
        # One call that allocates its result is cheaper than a view and a copy into a buffer.
        taken = tensor.take(places)
        self._taken.append(rest(taken) if rest else taken)
        self._counts.append(count)
        return several

    def drain(self) -> tuple[Tensor, Tensor, list[int]]:
        """Return what was taken, and forget it.

        Returns:
            (R, 2, P) the pairs in float32, zero where a row has fewer than P. (R, P) whether there
            is a pair. And the number of pairs of each row.
        """
        rows, self._taken = self._taken, []
        counts, self._counts = self._counts, []
        taken = torch.stack([row.to(rows[0].device, torch.float32) for row in rows])
        sizes = torch.tensor(counts, device=taken.device)
        valid = torch.arange(taken.shape[2], device=taken.device) < sizes.unsqueeze(1)
        # Samples of most shapes lack but their last pairs.
        fewest = min(counts)
        taken[:, :, fewest:].masked_fill_(~valid[:, fewest:].unsqueeze(1), 0.0)
        return taken, valid, counts

    def _new_places(
        self, shape: torch.Size, turn: int, device: torch.device,
    ) -> tuple[Tensor, int, bool]:
        """Return where pairs lie in the flat tensor, (2, P), how many, and whether they differ.

        Where they are fewer than P, the first ones are repeated.
        """
        rows = shape[0] if shape else 1
        plan = pairing(rows, shape.numel() // rows, self._values)
        # What is made in inference mode is of no use outside of it.
        with torch.inference_mode(False):
            steps = torch.arange(self._values // 2, device=device) % plan.pairs
            first = turn * _TURN % plan.slack + plan.stride * steps
            places = torch.stack([first, first + plan.lag])
        if len(self._places) >= _MOST_PLACES:
            self._places.clear()
        self._places[shape, turn, device] = found = places, plan.pairs, plan.lag > 0
        return found
