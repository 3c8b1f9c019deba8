"""Whether the units of a layer start as copies of each other, and whether training parts them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from auditor.layergraph import LayerUse
from auditor.spread import rms_of
from auditor.trial import Bench

_GATES = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}


@dataclass(frozen=True, slots=True)
class Units:
    """The weight of one layer, one row per unit.

    Attributes:
        layer: Name.
        name: Of the parameter.
        parameter: The live weight.
        dimension: Of the units.
        groups: Blocks of rows with a role of their own (the gates of an LSTM).
        is_table: Of an embedding, whose rows are its units. They part as soon as they are met, so
            that only a table that does not move at all tells something.
    """

    layer: str
    name: str
    parameter: nn.Parameter
    dimension: int
    groups: int = 1
    is_table: bool = False

    def rows(self) -> Tensor:
        """Return a copy of the weight, (G, U, F): groups, units, inputs of one unit."""
        flat = self.parameter.detach().transpose(0, self.dimension).flatten(1)
        return flat.reshape(self.groups, -1, flat.shape[1]).clone().float()


@dataclass(frozen=True, slots=True)
class Parting:
    """How alike the units of a layer are.

    Attributes:
        layer: Name.
        parameter: Name of the weight.
        spread: rms of the units' differences over rms of the weights; 0 for identical units.
        separation: rms of the differences between the units' movements over rms of the movements;
            0 in lockstep or when nothing moved, about 1 for units on ways of their own.
    """

    layer: str
    parameter: str
    spread: float
    separation: float


def units_of(model: nn.Module, layers: Iterable[LayerUse]) -> list[Units]:
    """Return the weights of layers with several units, biases left out.

    Tables with a padding index too: batches that hold nothing else do not move them.
    """
    parameters = dict(model.named_parameters())
    found: dict[str, Units] = {}
    padded = {f"{path}.weight".lstrip(".") for path, module in model.named_modules()
              if getattr(module, "padding_idx", None) is not None}
    # A weight that is also a table is judged as the layer that it is.
    for use in sorted(layers, key=lambda use: use.layout == "lookup"):
        parameter = parameters.get(use.parameter)
        is_table = use.layout == "lookup"
        dimension = 0 if is_table or use.layout == "out-in" else 1
        if use.layout == "opaque" or parameter is None or not parameter.requires_grad:
            continue
        if is_table and use.parameter in padded:
            continue
        if parameter.dim() >= 2 and parameter.shape[dimension] > 1:
            found.setdefault(use.parameter, Units(
                use.name, use.parameter, parameter, dimension, is_table=is_table))
    for path, module in model.named_modules():
        if isinstance(module, nn.RNNBase):
            for name, parameter in module.named_parameters():
                if parameter.dim() == 2 and parameter.requires_grad and "hr" not in name:
                    groups = _GATES.get(type(module), 1)
                    name = f"{path}.{name}" if path else name
                    found[name] = Units(path or name, name, parameter, 0, groups)
    return list(found.values())


def partings(bench: Bench, units: Sequence[Units], stream: Iterable[Any]) -> list[Parting]:
    """Take the steps of the stream and say how the units of each layer moved.

    A layer with several weights is told by the one whose units are most alike.
    """
    before = [unit.rows() for unit in units]
    for batch in stream:
        if not torch.isfinite(torch.tensor(bench.step(batch))):
            break
    found: dict[str, Parting] = {}
    for unit, old in zip(units, before, strict=True):
        moved = unit.rows() - old
        if unit.is_table and bool(moved.any()):
            continue
        parting = Parting(unit.layer, unit.name, _relative(old), _relative(moved))
        known = found.get(unit.layer, parting)
        found[unit.layer] = min(known, parting, key=lambda p: (p.spread, p.separation))
    return list(found.values())


def _relative(rows: Tensor) -> float:
    """Return how different the rows of a (G, U, F) tensor are from their group's mean row."""
    size = rms_of(rows)
    if not size:
        return 0.0
    return rms_of(rows - rows.mean(dim=1, keepdim=True)) / size
