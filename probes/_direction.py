"""Whether the optimizer moves down the gradient or up."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from auditor.spread import spread_sample

# Of each parameter.
_VALUES = 256


class Direction:
    """The angle between the gradient and the first update that moves anything.

    Args:
        model: Of the steps that are watched.

    Attributes:
        cosine: Of the two, over a sample of all parameters that have a gradient: -1 for plain
            gradient descent, near -1 for adaptive methods, positive for an optimizer that moves up
            the gradient. 0 while nothing has moved.
    """

    def __init__(self, model: nn.Module) -> None:
        self.cosine = 0.0
        self._parameters = [p for p in model.parameters() if p.requires_grad and p.numel()]
        self._taken: list[tuple[Tensor, Tensor, Tensor]] = []

    def before_update(self) -> None:
        """Take gradients and weights, between the backward pass and the optimizer's step."""
        with torch.no_grad():
            self._taken = [] if self.cosine else [
                (parameter, _sample(parameter).clone(), _sample(parameter.grad))
                for parameter in self._parameters
                if parameter.grad is not None and not parameter.grad.is_sparse]

    def after_update(self) -> None:
        """Compare with what the weights have become."""
        if not self._taken:
            return
        with torch.no_grad():
            move = torch.cat([_sample(now) - before for now, before, _ in self._taken])
            slope = torch.cat([gradient for _, _, gradient in self._taken])
            size = torch.linalg.vector_norm(move) * torch.linalg.vector_norm(slope)
            self.cosine = float(move @ slope / size) if float(size) > 0 else 0.0
        self._taken = []


def _sample(tensor: Tensor) -> Tensor:
    tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return spread_sample(tensor.detach(), _VALUES).float()
