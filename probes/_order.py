"""Whether samples come in an order that goes with their target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

PERMUTATIONS = 1999
SAMPLES = 2000
# Numbers that are worked on together.
_CELLS = 1 << 16


class Order(NamedTuple):
    """The permutation test.

    Attributes:
        p: Share of random orders whose batches differ at least as much (the one at hand included).
        explained: Share of the target's variance that lies between batches, beyond chance.
    """

    p: float
    explained: float


def order_test(target: Tensor, sizes: Sequence[int], *, classes: bool, seed: int) -> Order | None:
    """Compare the batches' targets with those of random orders of the same samples.

    The statistic is the variance between batches: of the class shares, or of the number itself.

    Args:
        target: (N,) class numbers or values, in the order in which they came.
        sizes: Samples in each batch; of more than 2,000 samples, batches spread over all of them
            are taken.
        classes: The targets are classes.
        seed: Of the random orders.

    Returns:
        None when the targets do not vary.
    """
    batch = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(list(sizes)))
    spread = torch.isin(batch, _spread_batches(sizes))
    batch, target = batch[spread], target.cpu()[spread]
    batch = torch.unique(batch, return_inverse=True)[1]
    if classes:
        _, labels = torch.unique(target, return_inverse=True)
        shares = torch.bincount(labels).double() / len(labels)
        total = float(len(labels) * (1 - shares.square().sum()))
    else:
        target = target.double() - target.double().mean()
        labels, shares = torch.zeros_like(batch), torch.zeros(1, dtype=torch.double)
        total = float(target.square().sum())
    if total <= 0:
        return None
    counts = torch.bincount(batch)
    weights = None if classes else target

    def between(orders: Tensor) -> Tensor:
        """Return the variance between batches for each order, (M, N) batch numbers -> (M)."""
        cells = len(counts) * len(shares)
        place = orders * len(shares) + labels + cells * torch.arange(len(orders)).unsqueeze(1)
        sums = torch.bincount(
            place.flatten(), None if weights is None else weights.expand(len(orders), -1).flatten(),
            minlength=cells * len(orders),
        ).double().view(len(orders), len(counts), len(shares))
        beyond = sums - counts.unsqueeze(1) * shares
        return (beyond.square().sum(2) / counts).sum(1)

    observed = float(between(batch.unsqueeze(0)))
    generator = torch.Generator().manual_seed(seed)
    together = max(1, _CELLS // max(len(batch), len(counts) * len(shares)))
    random = torch.cat([
        between(torch.stack([batch[torch.randperm(len(batch), generator=generator)]
                             for _ in range(min(together, PERMUTATIONS - begin))]))
        for begin in range(0, PERMUTATIONS, together)
    ])
    p = (1 + int((random >= observed - 1e-9 * total).sum())) / (1 + PERMUTATIONS)
    expected = float(random.mean())
    beyond = (observed - expected) / max(total - expected, 1e-12)
    return Order(p, min(max(beyond, 0.0), 1.0))


def _spread_batches(sizes: Sequence[int]) -> Tensor:
    """Return the numbers of batches that hold about 2,000 samples, from the first to the last.

    The first ones alone would not do: sorted data may begin with thousands of one class.
    """
    every = max(-(-sum(sizes) // SAMPLES), 1)
    return torch.arange(0, len(sizes), every)
