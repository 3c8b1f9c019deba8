"""Inputs with mean zero and standard deviation one."""

from __future__ import annotations

from typing import ClassVar

import torch

from auditor import batches
from auditor.fields import features_of
from auditor.mending import with_batches
from auditor.remedy import CannotMend, Case, Mended
from auditor.standardising import (
    compared_with,
    moments,
    scalable,
    standardising,
    standardising_fields,
)

# Means and deviations of that many batches are within a percent of those of the whole set.
_BATCHES = 40


class Standardise:
    """Standardises every float input by the training set's mean and standard deviation."""

    name: ClassVar[str] = "standardise"
    says: ClassVar[str] = "standardises inputs by mean and standard deviation"

    def mend(self, case: Case) -> Mended:
        """Return the target with standardised inputs.

        Raises:
            CannotMend: The inputs are no numbers on a scale, or the target is the input.
        """
        read = case.batches.train(_BATCHES)
        parts = [batches.split(batch) for batch in read]
        if any(tensor is parts[0].target for tensor in parts[0].inputs):
            raise CannotMend("the target is the input: its scale would change the loss")
        columns = [list(column) for column in zip(*(part.inputs for part in parts), strict=False)]
        joined = [torch.cat(column) if _fits(column) else None for column in columns]
        compared = compared_with(case.target, read[0], case.seed)
        change = standardising_fields(read, compared) if features_of(read[0]) else None
        if change is None:
            inputs = scalable(joined, read[0], compared)
            if not any(tensor is not None and moments(tensor) for tensor in inputs):
                raise CannotMend("the inputs are no numbers on a scale")
            change = standardising(inputs)
        return Mended(lambda target: with_batches(target, change))


def _fits(column: list[torch.Tensor]) -> bool:
    return len({(t.shape[1:], t.dtype) for t in column}) == 1 and column[0].dim() > 1
