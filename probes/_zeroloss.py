"""Whether a loss is zero whatever the model puts out."""

from __future__ import annotations

from typing import Any

import torch

from auditor import batches
from auditor.trial import Bench


def stays_zero(bench: Bench, batch: Any) -> bool:
    """Tell whether a loss that is zero is so for a model of quite other weights, too.

    A margin that all samples keep is no fault: where all weights are zero they do not keep it.

    Args:
        bench: Its weights are as before afterwards.
        batch: Of which the loss is zero at these weights.
    """
    start = bench.snapshot()
    losses = []
    for change in (torch.randn_like, torch.zeros_like):
        with torch.no_grad():
            for parameter in bench.model.parameters():
                if parameter.is_floating_point():
                    parameter.copy_(change(parameter))
        losses.append(float(bench.loss(batches.private(batch)).loss.detach()))
    bench.restore(start)
    return not any(losses)
