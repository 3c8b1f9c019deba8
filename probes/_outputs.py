"""What a model and its layers put out in a forward pass, also when a training step calls it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from auditor import batches
from auditor.isolation import seed_all
from auditor.modes import evaluating
from auditor.modulehooks import on_calls
from auditor.recorder import tensors_in
from auditor.spread import spread_sample
from auditor.trial import Bench

# Values kept of each row of each layer's output.
_VALUES = 256


@dataclass
class Outputs:
    """The outputs of one pass.

    Attributes:
        model: Floating-point tensors that the outermost call of a module of the model returned.
        layers: Path of each layer -> (N, V) sampled values of its output for each of N samples.
    """

    model: list[Tensor] = field(default_factory=list)
    layers: dict[str, Tensor] = field(default_factory=dict)


def evaluate(bench: Bench, batch: Any, *, seed: int, samples: int = 0) -> Outputs:
    """Return what the model puts out for a batch in eval mode, without gradients.

    Args:
        bench: Whose model is run, by the user's own forward and loss.
        batch: Left as it is.
        seed: Of everything random in the pass.
        samples: Layers whose output has so many rows are kept; none by default.

    Raises:
        TargetError: The user's code failed.
    """
    seed_all(seed)
    outputs = Outputs()
    with evaluating(bench.model), _keeping(bench.model, outputs, samples):
        bench.loss(batches.private(batch))
    return outputs


def difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Return rms(one - other) / rms(one - its mean over samples), the largest over the tensors.

    Args:
        one: Tensors (N, ...); NaN where they do not fit together.
        other: As many of the same shapes.
    """
    ratios = [0.0]
    for mine, theirs in zip(one, other, strict=False):
        if mine.shape != theirs.shape or not mine.numel():
            return math.nan
        gap = float((mine.double() - theirs.double()).square().mean().sqrt())
        if gap == 0:
            continue
        spread = float((mine.double() - mine.double().mean(dim=0)).square().mean().sqrt()) \
            if mine.dim() else 0.0
        size = float(mine.double().square().mean().sqrt())
        ratios.append(gap / max(spread, size * torch.finfo(torch.float32).eps, 1e-30))
    return max(ratios)


@contextmanager
def _keeping(model: nn.Module, outputs: Outputs, samples: int) -> Iterator[None]:
    """Keep outputs by hooks on every module; the outermost call of the model counts once."""
    paths = {id(module): path for path, module in model.named_modules()}
    depth = [0]

    def enter(module: nn.Module, args: Any) -> None:
        if id(module) in paths:
            depth[0] += 1

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        if id(module) not in paths:
            return
        depth[0] -= 1
        floats = [t.detach() for t in tensors_in(output) if t.is_floating_point()]
        if depth[0] == 0:
            outputs.model.extend(t.clone() for t in floats if t.dim())
        path = paths[id(module)]
        if samples and path and path not in outputs.layers and floats and floats[0].numel() \
                and floats[0].shape[:1] == (samples,):
            outputs.layers[path] = _rows(floats[0])

    with on_calls(enter, leave):
        yield


def _rows(tensor: Tensor) -> Tensor:
    return torch.stack([spread_sample(row, _VALUES) for row in tensor])
