"""Layer-sequential unit-variance initialisation: every hidden layer puts out unit variance."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from auditor import batches
from auditor.mending import with_model
from auditor.modes import evaluating
from auditor.remedy import CannotMend, Case, Mended
from auditor.target import Target

from ._layers import graph_of, listed
from .initialisation import only_fresh

# Outputs that vary less than this over a batch have no scale to be brought to one.
_LEAST = 1e-8


class Lsuv:
    """Starts hidden layers orthogonal, and scales each so that its output has unit variance.

    Source: Mishkin, Matas 2016, All you need is a good init, arXiv:1511.06422, algorithm 1.
    """

    name: ClassVar[str] = "lsuv"
    says: ClassVar[str] = "starts layers orthogonal, each scaled to unit variance on a batch"

    def mend(self, case: Case) -> Mended:
        """Return the target whose hidden layers put out unit variance on a training batch.

        Raises:
            CannotMend: The weights are pretrained, or no hidden layer is a module of its own.
        """
        only_fresh(case.target)
        paths = list(dict.fromkeys(
            use.name for use in graph_of(case).layers
            if isinstance(use.module, (nn.Linear, nn.modules.conv._ConvNd)) and use.trainable
            and use.activation_after is not None))
        if not paths:
            raise CannotMend("no hidden layer is a module that an activation follows")
        batch = case.batches.train(1)[0]

        def apply(target: Target) -> Target:
            return with_model(target, lambda model: _start(model, paths, target, batch))

        return Mended(
            apply, says=f"Start {listed(paths)} by LSUV: orthogonal, and scaled layer by layer "
                        "until the output of each has unit variance on a training batch.",
            code=_CODE)


_CODE = '''def unit_variance(layer, inputs, output):
    with torch.no_grad():
        layer.weight /= output.std()
    return output / output.std()

hidden = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][:-1]
for layer in hidden:
    nn.init.orthogonal_(layer.weight)
    nn.init.zeros_(layer.bias)
handles = [layer.register_forward_hook(unit_variance) for layer in hidden]
model(x)  # one training batch
for handle in handles:
    handle.remove()'''


def _start(model: nn.Module, paths: list[str], target: Target, batch: Any) -> None:
    seen: set[nn.Module] = set()

    def scale(layer: Any, _: Any, output: Tensor) -> Tensor | None:
        spread = float(output.std())
        # A layer that runs several times is scaled by its first run.
        if layer in seen or not spread > _LEAST:
            return None
        seen.add(layer)
        layer.weight.div_(spread)
        return output / spread

    layers: list[Any] = [model.get_submodule(path) for path in paths]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    model.to(target.device)
    handles = [layer.register_forward_hook(scale) for layer in layers]
    try:
        with evaluating(model):
            target.compute(model, batches.private(batch))
    finally:
        for handle in handles:
            handle.remove()
