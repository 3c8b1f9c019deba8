"""Other samples in a batch: rare classes more often, more samples at once, no odd last batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    WeightedRandomSampler,
)

from auditor import batches
from auditor.isolation import seeded
from auditor.optimizers import scales_linearly
from auditor.remedy import CannotMend, Case, Mended, together
from auditor.sourceedit import Edit
from auditor.target import Target
from auditor.trial import Bench

from .rate import at_rate

# Labels are read from that many samples at most.
_MOST = 50_000
_FACTOR = 4
# A larger batch has to leave that many steps in an epoch.
_FEWEST = 8


class BalancedSampling:
    """Draws every class equally often."""

    name: ClassVar[str] = "balanced-sampling"
    says: ClassVar[str] = "draws every class equally often"

    def mend(self, case: Case) -> Mended:
        """Return the target with a weighted sampler; it is judged by the mean recall over classes.

        Raises:
            CannotMend: The loader has another sampler, or the targets are no classes.
        """
        loader = _plain(case.batches.training_pass.loader)
        with seeded(case.seed):
            labels = _labels(loader)
        weights = 1.0 / labels.bincount().clamp(min=1)[labels]

        def sampled(now: DataLoader[Any]) -> DataLoader[Any]:
            return _like(now, sampler=WeightedRandomSampler(weights.tolist(), len(labels)))

        return Mended(lambda target: _with_loader(target, sampled), keeps_loss=False,
                      judges="validation", balanced=True)


class LargerBatch:
    """Takes four times the batch.

    Where the batch itself is at fault the rate is scaled by the rule of the optimizer. Where the
    loss swings it stays: the rule is made to keep the noise of a run as it was.
    """

    name: ClassVar[str] = "larger-batch"
    says: ClassVar[str] = "takes four times the batch"

    def mend(self, case: Case) -> Mended:
        """Return the target with larger batches.

        Raises:
            CannotMend: The loader cannot be rebuilt, or would hold too few batches.
        """
        loader = _plain(case.batches.training_pass.loader)
        size = _FACTOR * int(loader.batch_size or 1)
        if len(loader.dataset) < _FEWEST * size:  # type: ignore[arg-type]
            raise CannotMend(f"an epoch would hold fewer than {_FEWEST} batches of {size}")
        place = case.target.loader_place
        larger = Mended(
            lambda target: _with_loader(
                target, lambda now: _like(now, sampler=now.sampler, batch_size=size)),
            judged_mended=True, says=f"Take batches of {size}.",
            code=f"DataLoader(dataset, batch_size={size}, shuffle=True)",
            edits=(Edit("set-keyword", place, "batch_size", str(size), position=1),)
            if place else ())
        if case.finding.category != "batch":
            return larger
        rate = at_rate(case, float(f"{case.look(_scaled):.2g}"))
        return replace(
            larger, apply=lambda target: together(target, [larger, rate]),
            says=f"{larger.says} {rate.says}", code=f"{larger.code}\n{rate.code}",
            edits=(*larger.edits, *rate.edits) if larger.edits and rate.edits else ())


class DropLast:
    """Leaves out the last, incomplete batch."""

    name: ClassVar[str] = "drop-last"
    says: ClassVar[str] = "leaves out the last, incomplete batch"

    def mend(self, case: Case) -> Mended:
        """Return the target without the last batch.

        Raises:
            CannotMend: The loader cannot be rebuilt, or drops it already.
        """
        loader = _plain(case.batches.training_pass.loader)
        if loader.drop_last:
            raise CannotMend("the loader drops it already")
        place = case.target.loader_place
        return Mended(
            lambda target: _with_loader(
                target, lambda now: _like(now, sampler=now.sampler, drop_last=True)),
            judges="mended",
            edits=(Edit("set-keyword", place, "drop_last", "True"),) if place else ())


def _scaled(bench: Bench, _: Any) -> float:
    """Return the rate for the larger batch."""
    return bench.lr * (_FACTOR if scales_linearly(bench.optimizer) else _FACTOR ** 0.5)


def _plain(loader: Any) -> DataLoader[Any]:
    if not (isinstance(loader, DataLoader) and loader.batch_size is not None
            and not isinstance(loader.dataset, IterableDataset)):
        raise CannotMend("the loader is not a DataLoader over a data set of known length")
    return loader


def _like(loader: DataLoader[Any], **changes: Any) -> DataLoader[Any]:
    settings = {"batch_size": loader.batch_size, "collate_fn": loader.collate_fn,
                "drop_last": loader.drop_last, **changes}
    return DataLoader(loader.dataset, **settings)


def _with_loader(
    target: Target, change: Callable[[DataLoader[Any]], DataLoader[Any]],
) -> Target:
    def make() -> Iterable[Any]:
        return change(_plain(target.make_train_loader()))

    return replace(target, make_train_loader=make)


def _labels(loader: DataLoader[Any]) -> Tensor:
    """Return the class of every sample of the data set, (N,)."""
    count = len(loader.dataset)  # type: ignore[arg-type]
    if count > _MOST or not isinstance(loader.sampler, (RandomSampler, SequentialSampler)):
        raise CannotMend("the loader has a sampler of its own, or too many samples to read")
    read = [batches.split(batch).target for batch in DataLoader(
        loader.dataset, batch_size=loader.batch_size, collate_fn=loader.collate_fn)]
    if not all(isinstance(t, Tensor) and t.dim() and t.numel() == len(t)
               and bool((t == t.round()).all()) for t in read):
        raise CannotMend("the targets are not one class a sample")
    labels = torch.cat(read).cpu().long().flatten()
    if len(labels) != count or int(labels.min()) < 0:
        raise CannotMend("the targets are not one class a sample")
    return labels
