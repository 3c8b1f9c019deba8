"""Samples that hold NaN or infinity left out."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor import batches
from auditor.mending import with_batches
from auditor.remedy import Case, Mended


class DropSamples:
    """Leaves out samples whose inputs or targets are not finite."""

    name: ClassVar[str] = "drop-samples"
    says: ClassVar[str] = "leaves out samples that hold NaN or infinity"

    def mend(self, case: Case) -> Mended:
        """Return the target without these samples."""
        return Mended(lambda target: with_batches(target, _finite), judges="mended")


def _finite(batch: Any) -> Any:
    count = batches.length(batch)
    good = torch.ones(count, dtype=torch.bool)
    for tensor in batches.tensors_of(batch):
        if tensor.is_floating_point() and tensor.dim() and tensor.shape[0] == count:
            good &= torch.isfinite(tensor).flatten(1).all(dim=1).cpu() \
                if tensor.dim() > 1 else torch.isfinite(tensor).cpu()
    if bool(good.all()):
        return batch
    if bool(good.any()):
        return batches.select(batch, good.nonzero().flatten())
    return batches.map_tensors(batch, _zeroed)


def _zeroed(tensor: Tensor) -> Tensor:
    # A batch without one good sample: a step on zeros does less harm than one on NaN.
    return torch.nan_to_num(tensor, nan=0.0, posinf=0.0, neginf=0.0) \
        if tensor.is_floating_point() else tensor
