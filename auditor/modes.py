"""Eval mode for a while, and the probabilities of dropout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model in eval mode without gradients, and every module's own mode back after."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def set_dropout(model: nn.Module, probability: float) -> None:
    """Set the probability of every dropout module, of RNNs' and attention's own dropout too."""
    for module, name in _dropouts(model):
        setattr(module, name, probability)


def has_dropout(model: nn.Module) -> bool:
    """Tell whether `set_dropout` finds a probability above zero."""
    return any(getattr(module, name) > 0 for module, name in _dropouts(model))


def _dropouts(model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yield each module that drops values, and the name of its probability."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            yield module, "p"
        elif isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
            yield module, "dropout"
