"""Whether one sample's output depends on the other samples of its batch."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from auditor import batches
from auditor.errors import TargetError
from auditor.graphs import graphs_of
from auditor.isolation import seeded
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.spread import sample_spread
from auditor.trial import Bench
from auditor.usercode import user_code

from ._outputs import Outputs, evaluate

# Samples that are taken from the batch: enough to see the others' share, few enough to be quick.
_SAMPLES = 14
_FEWEST = 4
# Rounding differs between batch sizes; a change below this part of the spread is none.
_ROUNDING = 1e-4
# Of the spread over samples: outputs that differ by no more are those of the same sample.
_IN_PLACE = 1e-3
# Outputs that vary less than this part of their size are compared with the size instead.
_LEAST_SPREAD = 1e-3


class Mixing:
    """Exchanges half of a batch and runs the other half alone: its outputs must stay the same."""

    name: ClassVar[str] = "mixing"
    says: ClassVar[str] = "exchanges half of a batch and watches the outputs of the other half"
    cost: ClassVar[Cost] = Cost(steps=3, minimum_steps=3)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("foreign_influence", "", "change of a sample's output when the other samples "
                 "change, relative to the spread over samples", "layer"),
        Quantity("mixed_samples", "share", "part of the samples whose output depends on the "
                 "others", "layer"),
        Quantity("alone_difference", "", "change of a sample's output when half of the batch runs "
                 "alone, relative to the spread over samples", "layer"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        with seeded(context.seed):
            bench = Bench(context.target)
            batch = _samples(context)
            _refuse_shared_statistics(bench.model)
            exchange = _Exchange(bench, batch, context.seed)
            found = max(exchange.keep(first=True), exchange.keep(first=False),
                        key=lambda result: result.influence)
            context.note.steps += 3
        context.note.measure("foreign_influence", found.influence, found.layer)
        context.note.measure("mixed_samples", found.share, found.layer)
        context.note.measure("alone_difference", found.alone, found.layer)


class _Found(NamedTuple):
    """What the exchange of the other half did to one half of the batch."""

    influence: float
    share: float
    alone: float
    layer: str


class _Exchange:
    """A batch, and its outputs as they are.

    Raises:
        NotApplicable: The outputs do not have one row per sample, or are not reproducible.
    """

    def __init__(self, bench: Bench, batch: Any, seed: int) -> None:
        self.bench, self.batch, self.seed = bench, batch, seed
        self.count = batches.length(batch)
        self.half = self.count // 2
        try:
            self.whole = evaluate(bench, batch, seed=seed, samples=self.count)
        except TargetError as problem:
            raise NotApplicable(
                f"the model does not run on a part of the batch: {problem.message}") from problem
        self.main = _main(self.whole, self.count)
        again = evaluate(bench, batch, seed=seed)
        everything = list(range(self.count))
        noise, _ = self._influence(again.model[self.main], everything, everything)
        if not noise < _ROUNDING:
            raise NotApplicable("the same batch gives different outputs in eval mode")

    def keep(self, *, first: bool) -> _Found:
        """Keep one half, exchange the other one, and run the kept half alone."""
        begin = list(range(self.half))
        end = list(range(self.half, 2 * self.half))
        # The kept half's samples in other places make the strangers: real samples, other company.
        order = begin + begin[::-1] if first else end[::-1] + end
        kept = begin if first else end
        other = evaluate(self.bench, batches.select(self.batch, order + self._rest()),
                         seed=self.seed, samples=self.count)
        influence, share = self._influence(other.model[self.main], kept, kept)
        if influence > 0 and self._is_reordered(other.model[self.main]):
            influence = share = 0.0
        alone, _ = self._influence(self._alone(kept), kept, begin)
        return _Found(influence, share, alone, _first_mixing(self.whole, other, kept))

    def _is_reordered(self, other: Tensor) -> bool:
        """Tell whether all outputs of the exchanged batch were there before, in other places.

        All its samples were. A step that sorts or shuffles its batch (by survival times) mixes
        nothing.
        """
        one, after = (t.double().reshape(len(t), -1) for t in (self.whole.model[self.main], other))
        if one.shape[1] != after.shape[1]:
            return False
        gaps = torch.cdist(after, one).amin(dim=1) / math.sqrt(one.shape[1])
        return bool((gaps <= _IN_PLACE * self._spread()).all())

    def _spread(self) -> float:
        one = self.whole.model[self.main]
        size = float(one.double().square().mean().sqrt())
        return max(sample_spread(one), _LEAST_SPREAD * size, 1e-30)

    def _rest(self) -> list[int]:
        return list(range(2 * self.half, self.count))

    def _alone(self, kept: list[int]) -> Tensor:
        try:
            outputs = evaluate(self.bench, batches.select(self.batch, kept), seed=self.seed).model
        except TargetError as problem:
            raise NotApplicable(
                f"the model does not run on a part of the batch: {problem.message}") from problem
        if self.main >= len(outputs) or outputs[self.main].shape[0] != len(kept):
            raise NotApplicable("the output of a part of the batch has another form")
        return outputs[self.main]

    def _influence(self, other: Tensor, mine: list[int], theirs: list[int]) -> tuple[float, float]:
        """Return how far outputs moved over the samples' spread, and the share that did."""
        one = self.whole.model[self.main]
        if one.shape[1:] != other.shape[1:]:
            raise NotApplicable("the output's form depends on the number of samples")
        before = one[mine].double().reshape(len(mine), -1)
        after = other[theirs].double().reshape(len(theirs), -1)
        if not bool(torch.isfinite(before).all() and torch.isfinite(after).all()):
            return math.nan, math.nan
        gaps = (before - after).square().mean(dim=1).sqrt() / self._spread()
        return float(gaps.square().mean().sqrt()), float((gaps > _ROUNDING).double().mean())


def _samples(context: ProbeContext) -> Any:
    """Return a batch whose first dimension is certainly the samples.

    Raises:
        NotApplicable: It is not certain, or there are too few.
    """
    stored = context.batches.train(1)
    batch = stored[0] if stored else None
    count = batches.length(batch)
    if count >= _FEWEST and graphs_of(batch) is not None:
        return batches.select(batch, list(range(min(count, _SAMPLES))))
    tensors = list(batches.tensors_of(batch))
    if not tensors or count < _FEWEST:
        raise NotApplicable("the batches hold no tensors, or fewer than four samples")
    if any(t.dim() and t.shape[0] != count for t in tensors) or any(map(_is_adjacency, tensors)):
        raise NotApplicable("not every tensor of the batch has the samples as first dimension")
    target = batches.split(batch).target
    plain = isinstance(target, Tensor) and target.numel() == count
    if not plain and _loader_batch_size(context) != count:
        raise NotApplicable("which dimension of the batches holds the samples is not certain")
    return batches.select(batch, list(range(min(count, _SAMPLES))))


def _is_adjacency(tensor: Tensor) -> bool:
    square = tensor.dim() == 2 and tensor.shape[0] == tensor.shape[1]
    return square and bool((tensor == tensor.T).all())


def _loader_batch_size(context: ProbeContext) -> int | None:
    with user_code("making the training loader"):
        loader = context.target.make_train_loader()
    size = getattr(loader, "batch_size", None)
    if size is None:
        size = getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
    return size if isinstance(size, int) else None


def _refuse_shared_statistics(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            raise NotApplicable("batch normalisation without running statistics joins the samples")


def _main(outputs: Outputs, count: int) -> int:
    """Return which output tensor has the samples as its first dimension, and no other way."""
    for index, tensor in enumerate(outputs.model):
        if tensor.dim() >= 2 and tensor.shape[0] == count and sample_spread(tensor) > 0:
            return index
    for index, tensor in enumerate(outputs.model):
        if tensor.dim() == 1 and tensor.shape[0] == count:
            return index
    raise NotApplicable("the model has no output with one row per sample")


def _first_mixing(one: Outputs, other: Outputs, kept: list[int]) -> str:
    """Return the first layer whose output of unchanged samples changed."""
    last = ""
    for path, rows in one.layers.items():
        last = path
        theirs = other.layers.get(path)
        if theirs is None or theirs.shape != rows.shape:
            continue
        before, after = rows[kept].double(), theirs[kept].double()
        gap = float((before - after).square().mean().sqrt())
        if gap > _ROUNDING * max(float(before.square().mean().sqrt()), 1e-30):
            return path
    return last or "model"
