"""Whether a metric-learning model maps all samples to one point during a short trial."""

from __future__ import annotations

import math
import statistics
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from auditor import batches, functions
from auditor.isolation import seeded
from auditor.lossvalue import names_other_samples
from auditor.modulehooks import is_transformed
from auditor.observation import Quantity, Series
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.recorder import Call, tensors_in, watching
from auditor.spread import sample_spread, sample_variation
from auditor.trial import Bench

from ._losses import LossListener
from ._outputs import evaluate

_STEPS = 60
_FEWEST_STEPS = 20
_LOOK_EVERY = 15
_TAIL = 10
# A user's own contrastive loss measures distances outside of the model.
_DISTANCES = frozenset({"pairwise_distance", "cosine_similarity", "cdist", "pdist"})
_DIFFERENCES = frozenset({"sub", "subtract", "__sub__", "__rsub__"})
_PRODUCTS = frozenset({"matmul", "__matmul__", "mm"})


class _Distances:
    """Listens for distances between embeddings that a user's own loss computes.

    Attributes:
        outputs: What the model and its modules returned, kept so that no identity is used twice.
    """

    def __init__(self) -> None:
        self.found = False
        self.outputs: list[Tensor] = []

    def on_module(self, call: Call) -> None:
        """Distances are functions."""

    def on_function(self, call: Call) -> None:
        """Note one distance outside of the model's layers."""
        name = getattr(call.function, "__name__", "")
        outside = call.module is None or call.path.startswith("(")
        if not outside or not isinstance(call.output, Tensor) or not call.output.requires_grad:
            return
        given = list(tensors_in(call.args))[:2]
        if name in _DISTANCES:
            self.found = True
        elif len(given) == 2 and all(tensor.requires_grad for tensor in given):
            self.found |= name in _DIFFERENCES and self._compares(given[0], given[1], call.output)
            self.found |= name in _PRODUCTS and _is_square(call.output)

    def keep(self, module: nn.Module, args: Any, output: Any) -> None:
        """Remember what a module returned: a step may call the encoder alone."""
        if not is_transformed():
            self.outputs.extend(tensors_in(output))

    def _compares(self, one: Tensor, other: Tensor, output: Tensor) -> bool:
        """Tell whether a difference is one between all samples, or between two outputs."""
        outer = output.numel() > max(one.numel(), other.numel())
        return outer or all(any(tensor is kept for kept in self.outputs) for tensor in (one, other))


def _is_square(tensor: Tensor) -> bool:
    return tensor.dim() == 2 and tensor.shape[0] == tensor.shape[1] > 1


class Embedding:
    """Trains a metric-learning model for a short while and measures the embeddings' spread."""

    name: ClassVar[str] = "embedding"
    says: ClassVar[str] = "measures the spread of embeddings over a short trial"
    cost: ClassVar[Cost] = Cost(
        steps=_STEPS, minimum_steps=_FEWEST_STEPS, trains=True, long=True, usual=5)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("embedding_spread", "", "spread of the embeddings over samples relative to their "
                 "rms, after a short trial", "layer"),
        Quantity("embedding_spread_at_start", "", "the same before training", "layer"),
        Quantity("embedding_shrinkage", "", "spread of the embeddings after the trial over that "
                 "before, both in the embeddings' own unit", "layer"),
        Quantity("effective_rank", "", "effective number of dimensions that the embeddings use",
                 "layer"),
        Quantity("margin_distance", "share", "distance of the loss from the margin at the end of "
                 "the trial, relative to the margin"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        steps = context.affordable_steps(_STEPS, minimum=_FEWEST_STEPS)
        stored = context.batches.train(steps)
        with seeded(context.seed):
            bench = Bench(context.target)
            margin = _margin(bench, stored[0]) if stored else None
            layer = _last_layer(bench)
            spreads = [_spread(bench, stored[0], context.seed)]
            losses: list[float] = []
            for number, batch in enumerate(context.batches.cycled(steps, of=steps), start=1):
                losses.append(bench.step(batch))
                if not math.isfinite(losses[-1]):
                    raise NotApplicable("the trial diverged")
                if number % _LOOK_EVERY == 0 or number == steps:
                    spreads.append(_spread(bench, stored[0], context.seed))
        note = context.note
        note.steps += steps
        first, last = spreads[0], spreads[-1]
        note.measure("embedding_spread", last.relative, layer)
        note.measure("embedding_spread_at_start", first.relative, layer)
        if first.absolute > 0:
            note.measure("embedding_shrinkage", last.absolute / first.absolute, layer)
        else:
            note.absent("the embeddings were one point from the start", "embedding_shrinkage")
        note.measure("effective_rank", last.rank, layer)
        if margin:
            note.measure("margin_distance", abs(statistics.fmean(losses[-_TAIL:]) / margin - 1))
        else:
            note.absent("the loss has no margin", "margin_distance")
        looks = [float(min(n * _LOOK_EVERY, steps)) for n in range(len(spreads))]
        note.series(Series("embedding_spread", "embeddings", tuple(looks),
                           tuple(spread.relative for spread in spreads), "steps"))


def _margin(bench: Bench, batch: Any) -> float | None:
    """Return the margin of a triplet loss; None when the metric loss has none.

    Raises:
        NotApplicable: The loss compares no embeddings, or the model cannot be watched.
    """
    if isinstance(bench.model, torch.jit.ScriptModule):
        raise NotApplicable("a scripted model takes no hooks, so that its outputs are not seen")
    listener, distances = LossListener(), _Distances()
    handles = [module.register_forward_hook(distances.keep) for module in bench.model.modules()
               if not isinstance(module, torch.jit.ScriptModule)]
    try:
        with watching(bench.model, listener, distances, everything=True):
            bench.loss(batches.private(batch))
    finally:
        for handle in handles:
            handle.remove()
    calls = [seen.call for seen in listener.seen]
    metric = [c for c in calls if c.name in functions.METRIC_LOSSES]
    if not metric and not distances.found and not any(
            c.name == "cross_entropy" and names_other_samples(c) for c in calls):
        raise NotApplicable("the loss compares no embeddings")
    margins = [float(c.settings["margin"]) for c in metric if c.name.startswith("triplet")]
    return margins[0] if margins and metric[0].reduction == "mean" else None


class _Spread(NamedTuple):
    """How far the embeddings of a batch lie apart.

    Attributes:
        relative: Standard deviation over samples, rms over dimensions, over the embeddings' rms.
        absolute: The same in the embeddings' own unit.
        rank: exp of the entropy of the centred embeddings' normalised singular values.
    """

    relative: float
    absolute: float
    rank: float


def _spread(bench: Bench, batch: Any, seed: int) -> _Spread:
    outputs = [t for t in evaluate(bench, batch, seed=seed).model if t.dim() == 2 and
               t.shape[1] > 1]
    if not outputs:
        raise NotApplicable("the model puts out no embeddings")
    same = [t for t in outputs if t.shape[1] == outputs[0].shape[1]]
    points = torch.cat(same).double()
    values = torch.linalg.svdvals(points - points.mean(dim=0))
    shares = values / values.sum().clamp(min=1e-30)
    entropy = -(shares * shares.clamp(min=1e-30).log()).sum()
    return _Spread(sample_variation(points), sample_spread(points), float(entropy.exp()))


def _last_layer(bench: Bench) -> str:
    names = [path for path, module in bench.model.named_modules()
             if any(True for _ in module.parameters(recurse=False))]
    return names[-1] if names else "model"
