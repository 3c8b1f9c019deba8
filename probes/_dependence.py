"""A test of whether targets go with inputs at all, by neighbours and by means; no training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SAMPLES = 1000
_DIMENSIONS = 256
_NEIGHBOURS = 10
_PERMUTATIONS, _MORE_PERMUTATIONS = 199, 1999
# The least p that they can show.
LEAST = 2 / (1 + _MORE_PERMUTATIONS)
# Standard deviations above the permutations: beyond doubt, without any more of them.
_BEYOND_DOUBT = 6.0
_BUCKETS = 256


def dependence(inputs: Sequence[Tensor], target: Tensor, *, classes: bool, seed: int) -> float:
    """Return the p-value of "inputs and targets are independent", by permutation.

    Two statistics: how far neighbours in input space share their target, and how far the inputs'
    means move with the target. The smaller p counts, doubled. A high value proves nothing. Where
    no permutation reaches what was observed, but some come near, ten times as many decide; where
    none comes near, they are spared, and the least p that they can show is returned.

    Args:
        inputs: (N, ...) each; integers are taken as words and counted.
        target: (N,) classes or numbers.
        classes: The targets are classes.
        seed: Of projections and permutations.
    """
    generator = torch.Generator().manual_seed(seed)
    # Spread over all that was read: sorted data begin with samples of one class.
    rows = torch.linspace(0, len(target) - 1, min(SAMPLES, len(target))).long()
    x = _flat([t.detach().cpu()[rows] for t in inputs], generator)
    y = target.cpu()[rows]
    if classes:
        y = torch.nn.functional.one_hot(torch.unique(y, return_inverse=True)[1]).float()
    else:
        y = y.float().unsqueeze(1)
    y = y - y.mean(dim=0)
    distances = torch.cdist(x, x)
    distances.fill_diagonal_(torch.inf)
    neighbours = distances.topk(min(_NEIGHBOURS, len(x) - 1), largest=False).indices

    def statistics(values: Tensor) -> tuple[float, float]:
        near = float((values[neighbours].mean(dim=1) * values).sum())
        # A norm, not its square: with few inputs that has a long tail.
        return near, float(torch.linalg.vector_norm(values.T @ x))

    observed = torch.tensor(statistics(y))
    random = torch.empty(0, 2)
    for wanted in (_PERMUTATIONS, _MORE_PERMUTATIONS):
        further = [statistics(y[torch.randperm(len(y), generator=generator)])
                   for _ in range(wanted - len(random))]
        random = torch.cat([random, torch.tensor(further)])
        above = (random >= observed).sum(dim=0)
        away = (observed - random.mean(dim=0)) / random.std(dim=0)
        if float(away.max()) > _BEYOND_DOUBT:
            return LEAST
        if int(above.min()):
            break
    return min(1.0, 2 * (1 + int(above.min())) / (1 + len(random)))


@dataclass(frozen=True, slots=True)
class Told:
    """What equal inputs tell of the targets.

    Attributes:
        p: Of "inputs and targets are independent", by permutation.
        high: Part of the target's variance that lies between groups of equal inputs, beyond
            chance; upper end of the 95 % interval.
    """

    p: float
    high: float


def told_by_groups(groups: Tensor, target: Tensor, *, classes: bool, seed: int) -> Told:
    """Return what is told by which samples have equal inputs.

    The adjusted share of variance is epsilon squared (Kelley 1935); its standard error without
    any dependence is that of a chi-squared variable, sqrt(2 (k - 1)) / n for k groups.

    Args:
        groups: (N,) group of each sample.
        target: (N,) classes or numbers.
        classes: The targets are classes.
        seed: Of the permutations.
    """
    y = target.detach().cpu()
    y = (torch.nn.functional.one_hot(torch.unique(y, return_inverse=True)[1]).double()
         if classes else y.double().unsqueeze(1))
    y = y - y.mean(dim=0)
    total = float(y.square().sum())
    count, kinds = len(y), int(groups.max()) + 1
    sizes = torch.bincount(groups, minlength=kinds).double().unsqueeze(1)

    def between(values: Tensor) -> float:
        sums = torch.zeros(kinds, values.shape[1], dtype=values.dtype).index_add_(0, groups, values)
        return float((sums.square() / sizes).sum()) / total if total else 0.0

    generator = torch.Generator().manual_seed(seed)
    observed = between(y)
    above = sum(between(y[torch.randperm(count, generator=generator)]) >= observed
                for _ in range(_PERMUTATIONS))
    chance = (kinds - 1) / max(count - 1, 1)
    share = (observed - chance) / (1 - chance)
    return Told((1 + above) / (1 + _PERMUTATIONS), share + 2 * math.sqrt(2 * (kinds - 1)) / count)


def _flat(inputs: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """Return (N, d) standardised features, projected at random where they are many."""
    columns = [_word_counts(t) if not t.is_floating_point() and t.dim() == 2
               else t.float().reshape(t.shape[0], -1) for t in inputs]
    x = torch.nan_to_num(torch.cat(columns, dim=1))
    x = (x - x.mean(dim=0)) / x.std(dim=0).clamp(min=1e-6)
    if x.shape[1] > _DIMENSIONS:
        x = x @ torch.randn(x.shape[1], _DIMENSIONS, generator=generator) / x.shape[1] ** 0.5
    return x


def _word_counts(tokens: Tensor) -> Tensor:
    buckets = (tokens.long() % _BUCKETS)
    counts = torch.zeros(tokens.shape[0], _BUCKETS)
    return counts.scatter_add_(1, buckets, torch.ones(buckets.shape))
