"""Training samples in random order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

from torch.utils.data import DataLoader, IterableDataset, SequentialSampler

from auditor.remedy import CannotMend, Case, Mended
from auditor.sourceedit import Edit
from auditor.target import Target


class Shuffle:
    """Shuffles the training set."""

    name: ClassVar[str] = "shuffle"
    says: ClassVar[str] = "shuffles the training set"

    def mend(self, case: Case) -> Mended:
        """Return the target with a shuffled training loader.

        Raises:
            CannotMend: The loader is not a DataLoader that reads a data set in order.
        """
        if not _reads_in_order(case.batches.training_pass.loader):
            raise CannotMend("the loader is not a DataLoader that reads a data set in order")
        place = case.target.loader_place
        return Mended(
            _shuffled, judges="mended",
            edits=(Edit("set-keyword", place, "shuffle", "True"),) if place else ())


def _reads_in_order(loader: Any) -> bool:
    return (isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset)
            and loader.batch_size is not None and isinstance(loader.sampler, SequentialSampler))


def _shuffled(target: Target) -> Target:
    def make() -> Iterable[Any]:
        loader: Any = target.make_train_loader()
        if not _reads_in_order(loader):
            return loader  # type: ignore[no-any-return]
        return DataLoader(
            loader.dataset, batch_size=loader.batch_size, shuffle=True,
            collate_fn=loader.collate_fn, drop_last=loader.drop_last)

    return replace(target, make_train_loader=make)
