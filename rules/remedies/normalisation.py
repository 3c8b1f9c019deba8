"""Normalisation inserted between hidden layers."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.layergraph import LayerUse
from auditor.mending import with_model
from auditor.remedy import CannotMend, Case, Mended

from ._layers import following, graph_of, listed


class Normalise:
    """Normalises what hidden layers put out, before the activation."""

    name: ClassVar[str] = "normalise"
    says: ClassVar[str] = "normalises each sample between a hidden layer and its activation"

    def mend(self, case: Case) -> Mended:
        """Return the target with normalised hidden layers.

        Raises:
            CannotMend: No hidden layer is a module that an activation follows.
        """
        paths = list(dict.fromkeys(
            use.name for use in graph_of(case).layers if _can_be_normalised(use)))
        if not paths:
            raise CannotMend("no hidden layer is a module that an activation follows")

        def change(model: nn.Module) -> None:
            for path in paths:
                model.get_submodule(path).register_forward_hook(_normalised)

        return Mended(
            lambda target: with_model(target, change),
            says=f"Normalise between {listed(paths)} and the activation behind.",
            code="nn.Sequential(layer, nn.LayerNorm(units), activation)"
                 "  # nn.GroupNorm(1, channels) behind convolutions")


def _can_be_normalised(use: LayerUse) -> bool:
    call = following(use)
    return (isinstance(use.module, (nn.Linear, nn.modules.conv._ConvNd))
            and call is not None and not call.gates)


def _normalised(module: nn.Module, _: Any, output: Tensor) -> Tensor:
    # A single unit has nothing to be normalised over.
    if isinstance(module, nn.Linear):
        return F.layer_norm(output, output.shape[-1:]) if output.shape[-1] > 1 else output
    return F.group_norm(output, 1)
