"""Which modules run in a training pass, and which of them run in eval mode by mistake."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from auditor.recorder import Call


@dataclass
class Modules:
    """Listens for the modules that run, and for the mode in which they do.

    Attributes:
        ran: Modules that ran, by identity (kept, so that no identity is used twice).
        in_eval: Paths of normalisation and dropout layers -> whether they ran in eval mode.
    """

    ran: dict[int, nn.Module] = field(default_factory=dict)
    in_eval: dict[str, bool] = field(default_factory=dict)

    def on_function(self, call: Call) -> None:
        """Functions are no modules."""

    def on_module(self, call: Call) -> None:
        """Note one module's run."""
        if call.module is None:
            return
        self.ran[id(call.module)] = call.module
        if isinstance(call.module, (_BatchNorm, _DropoutNd)):
            self.in_eval[call.path] = not call.module.training


def is_wrongly_in_eval(model: nn.Module, path: str) -> bool:
    """Tell whether a layer that ran in eval mode should have trained.

    A frozen backbone and normalisation whose statistics were kept from another training are
    meant that way; statistics that nobody has ever fed are not.
    """
    layers = dict(model.named_modules())
    layer = layers.get(path)
    if layer is None or (isinstance(layer, _DropoutNd) and layer.p == 0):
        return False
    if isinstance(layer, _BatchNorm):
        if layer.running_mean is None or layer.running_var is None:
            return False
        frozen = layer.weight is not None and not layer.weight.requires_grad
        fed = bool((layer.running_mean != 0).any()) or bool((layer.running_var != 1).any())
        return not frozen and (not fed or not model.training) and _trains(layers, path)
    return _trains(layers, path)


def _trains(layers: dict[str, nn.Module], path: str) -> bool:
    """Tell whether the innermost module around a layer that has parameters trains any of them."""
    while True:
        own = list(layers[path].parameters()) if path in layers else []
        if own or not path:
            return any(p.requires_grad for p in own)
        path = path.rpartition(".")[0]
