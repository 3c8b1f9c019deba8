"""What the first layers with weights receive from the input, after the model's own arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from auditor.recorder import Call, tensors_in

from ._features import feature_rows

_CONVOLUTIONS = {"conv1d": 2, "conv2d": 3, "conv3d": 4, "conv_transpose1d": 2,
                 "conv_transpose2d": 3, "conv_transpose3d": 4}
_PRODUCTS = frozenset({
    "linear", "matmul", "__matmul__", "mm", "bmm", "addmm", "baddbmm", "lstm", "gru", "rnn_tanh",
    "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell",
    "multi_head_attention_forward", "bilinear",
})
_JOINS = frozenset({"cat", "concat", "concatenate", "stack", "hstack", "vstack", "dropout"})


@dataclass
class Reception:
    """What one layer received.

    Attributes:
        channels: The features are channels of a convolution, not columns.
        rows: (R, F) values of each watched pass.
    """

    channels: bool
    rows: list[Tensor] = field(default_factory=list)


class Received:
    """Listens for calls that multiply weights with something made of the input alone.

    Attributes:
        layers: Layer -> what it received.
    """

    def __init__(self) -> None:
        self.layers: dict[str, Reception] = {}
        self._kept: list[Tensor] = []
        self._own: set[int] = set()

    def begin(self, inputs: Iterable[Tensor]) -> None:
        """Say what the input of the next pass is."""
        self._kept, self._own = [], set()
        for tensor in inputs:
            self._mark(tensor)

    def end(self) -> None:
        """Let go of the tensors of the pass."""
        self._kept, self._own = [], set()

    def on_module(self, call: Call) -> None:
        """Functions say it all."""

    def on_function(self, call: Call) -> None:
        """Follow the input through the calls until weights meet it."""
        if call.function is None or not self._own or call.output is None:
            return
        tensors = [(t, _storage(t) in self._own) for t in tensors_in((call.args, call.kwargs))]
        if not any(own for _, own in tensors):
            return
        name = getattr(call.function, "__name__", "")
        others = [t for t, own in tensors if not own]
        has_weights = any(isinstance(t, nn.Parameter) or t.requires_grad for t in others)
        if not has_weights or name in _JOINS:
            for tensor in tensors_in(call.output):
                self._mark(tensor)
        elif name in _CONVOLUTIONS or name in _PRODUCTS:
            # What stands further back are masks, states and weights.
            factors = [t for t in call.args[:3] if isinstance(t, Tensor)]
            for tensor in factors[:3 if name == "multi_head_attention_forward" else 2]:
                if _storage(tensor) in self._own:
                    self._note(call, name, tensor)

    def _note(self, call: Call, name: str, tensor: Tensor) -> None:
        if not tensor.is_floating_point() or tensor.dim() < 2:
            return
        with torch.no_grad(), torch._C.DisableTorchFunction():
            channels = name in _CONVOLUTIONS
            dim = tensor.dim() - _CONVOLUTIONS[name] if channels else tensor.dim() - 1
            rows = feature_rows(tensor.detach(), dim)
        kept = self.layers.setdefault(call.path, Reception(channels)).rows
        if not kept or kept[0].shape[1] == rows.shape[1]:
            kept.append(rows)

    def _mark(self, tensor: Any) -> None:
        self._own.add(_storage(tensor))
        # Kept alive, for a freed tensor's memory would be taken for the input.
        self._kept.append(tensor)


def _storage(tensor: Tensor) -> int:
    with torch._C.DisableTorchFunction():
        return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else 0
