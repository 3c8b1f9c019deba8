"""Normalisation: between hidden layers, or over groups in place of batches."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.layergraph import LayerUse
from auditor.mending import with_model
from auditor.remedy import CannotMend, Case, Mended

from ._activations import put_in_place
from ._layers import graph_of, listed, module_at
from .initialisation import only_fresh

_GROUPS = 8


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


class OverGroups:
    """Normalises over groups of channels in place of the batch."""

    name: ClassVar[str] = "group-norm"
    says: ClassVar[str] = "normalises over groups of channels in place of the batch"

    def mend(self, case: Case) -> Mended:
        """Return the target with GroupNorm in the place of the finding's BatchNorm layers.

        Raises:
            CannotMend: The weights are pretrained, or the finding names no batch normalisation.
        """
        only_fresh(case.target)
        channels: dict[str, int] = case.look(lambda bench, _: {
            path: module.num_features for path in case.finding.layers
            if isinstance(module := module_at(bench.model, path), nn.modules.batchnorm._BatchNorm)})
        if not channels:
            raise CannotMend("no layer of the finding is a batch normalisation")

        def change(model: nn.Module) -> None:
            for path, count in channels.items():
                put_in_place(model, path, nn.GroupNorm(groups_of(count), count))

        path, count = next(iter(channels.items()))
        return Mended(
            lambda target: with_model(target, change),
            says=f"Use GroupNorm in place of batch normalisation in {listed(list(channels))}.",
            code=f"nn.GroupNorm({groups_of(count)}, {count})  # {path}")


def groups_of(channels: int) -> int:
    """Return the largest number of groups, up to 8, that divides the channels evenly.

    Every group has at least two channels: over a single value there is no variance.
    """
    return max(n for n in range(1, _GROUPS + 1)
               if channels % n == 0 and (n == 1 or channels // n > 1))


def _can_be_normalised(use: LayerUse) -> bool:
    call = use.activation_after
    return (isinstance(use.module, (nn.Linear, nn.modules.conv._ConvNd))
            and call is not None and not call.gates)


def _normalised(module: nn.Module, _: Any, output: Tensor) -> Tensor:
    # A single unit has nothing to be normalised over.
    if isinstance(module, nn.Linear):
        return F.layer_norm(output, output.shape[-1:]) if output.shape[-1] > 1 else output
    return F.group_norm(output, 1)
