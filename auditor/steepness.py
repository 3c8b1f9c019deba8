"""How steep activations are where their outputs lie, and which of them are flat there."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from auditor.functions import Activation

# Below this part of its largest derivative an activation counts as flat.
_FLAT = 0.05


def slopes(
    activations: Sequence[Activation | None], taken: Tensor, valid: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return (R,) sums of derivatives over their maximum, and (R,) numbers of flat values.

    Args:
        activations: Of each row; None where it is not asked, and both are 0.
        taken: (R, 2, P) outputs.
        valid: (R, P) which of them count.
    """
    sums, flat = taken.new_zeros(len(activations)), taken.new_zeros(len(activations))
    rows_of: dict[Activation, list[int]] = {}
    for row, activation in enumerate(activations):
        if activation is not None:
            rows_of.setdefault(activation, []).append(row)
    for activation, chosen in rows_of.items():
        slope = _slope(activation, taken[chosen])
        there = valid[chosen].unsqueeze(1)
        sums[chosen] = (slope * there).sum((1, 2))
        flat[chosen] = ((slope < _FLAT) & there).sum((1, 2)).float()
    return sums, flat


def _slope(activation: Activation, output: Tensor) -> Tensor:
    """Return the derivative over its maximum, from outputs of any shape."""
    half = (activation.high - activation.low) / 2
    centred = ((output - activation.low) / half - 1).clamp(-1, 1)
    if activation.name.startswith("hard"):
        return (centred.abs() < 1).float()
    if activation.name == "softsign":
        return (1 - centred.abs()).square()
    return 1 - centred.square()
