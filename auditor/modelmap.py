"""The model map: every layer and functional activation in the order in which they are called."""

from __future__ import annotations

from typing import Any

from torch import nn

from auditor import functions
from auditor.recorder import Call, watching
from auditor.report import Layer
from auditor.target import Target
from auditor.trial import Bench


class CallOrder:
    """Listens for the order of calls.

    Attributes:
        kinds: Subject -> class or function name, in call order.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}

    def on_module(self, call: Call) -> None:
        """Note a layer."""
        self.kinds.setdefault(call.subject.partition("#")[0], type(call.module).__name__)

    def on_function(self, call: Call) -> None:
        """Note an activation that is called as a function."""
        if call.function in functions.ACTIVATIONS and call.module is not None:
            self.kinds.setdefault(call.subject.partition("#")[0], call.function.__name__)


def model_map(bench: Bench, batch: Any) -> tuple[Layer, ...]:
    """Return the layers of a model in call order, from one forward pass.

    Layers that are never called come last. Containers without parameters of their own have no row.

    Raises:
        TargetError: The user's code failed.
    """
    order = CallOrder()
    with watching(bench.model, order):
        bench.loss(batch)
    modules = dict(bench.model.named_modules())
    kinds = {
        **order.kinds,
        **{path: type(module).__name__ for path, module in modules.items()
           if path not in order.kinds and _own_parameters(module)},
    }
    return tuple(
        Layer(path, kind, _own_parameters(modules.get(path)), place_of(bench.target, path))
        for path, kind in kinds.items()
    )


def place_of(target: Target, path: str) -> Any:
    """Return the line that makes a layer, or the nearest module around it that has one."""
    path = path.partition(":")[0]
    while path:
        if path in target.places:
            return target.places[path]
        path = path.rpartition(".")[0]
    return target.places.get("")


def _own_parameters(module: nn.Module | None) -> int:
    if module is None:
        return 0
    return sum(p.numel() for p in module.parameters(recurse=False))
