"""Looks at the data: values, scales, classes, order, copies, training against validation."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from auditor.errors import TargetError
from auditor.observation import Quantity
from auditor.probe import Cost, Notebook, ProbeContext

from . import _features, _labels, _order, _shift
from ._data_quantities import QUANTITIES, VALIDATION
from ._data_tables import feature_table, label_table
from ._duplicates import note_copies
from ._firstlook import (
    FirstLook,
    first_look,
    non_finite,
    reaches_the_gradient,
    targets_as_given,
)
from ._losscheck import misfit
from ._samples import (
    Drawing,
    Samples,
    drawing,
    training_samples,
    validation_samples,
    with_target_at,
)
from ._seen_target import with_seen_target
from ._standard import standardising_code

# Below these numbers of samples or batches a statistic says nothing.
_FEWEST = 50
_FEWEST_BATCHES = 8
_WIDEST_TABLE = 512
_WIDEST_NAMED = 100
_ROWS_PER_COLUMN = 4


class Data:
    """Reads the first samples of the loaders and compares them with what a training run needs."""

    name: ClassVar[str] = "data"
    says: ClassVar[str] = "looks at inputs, targets, order and copies in the first batches"
    cost: ClassVar[Cost] = Cost(steps=4, minimum_steps=1)
    yields: ClassVar[tuple[Quantity, ...]] = QUANTITIES
    after: ClassVar[tuple[str, ...]] = ()

    def run(self, context: ProbeContext) -> None:
        """Measure what is in the data, with four forward passes for what the model sees of it."""
        note = context.note
        train = training_samples(context)
        val, problem = _held_out(context)
        look = first_look(context, train)
        how = drawing(context.batches.training_pass.loader)
        note.measure("data_samples", train.count)
        _finite(context, train)
        _scale(note, train, look)
        note.table("input_features", feature_table(look))
        train = with_seen_target(context, train, look)
        if val is not None and train.place is not None:
            val = with_target_at(val, train.place)
        _columns(note, train)
        _targets(note, train, look)
        labels = _labels.class_labels(train, look)
        val_labels = _labels.labels_in(val.target) if val and labels is not None else None
        in_order = _order_of(context, train, labels, how)
        note_copies(context, train, val, labels is not None, how)
        if labels is not None:
            marks = _labels.marks_of(labels, look, train.sizes[0])
            labels = _labels.without(labels, marks)
            val_labels = None if val_labels is None else _labels.without(val_labels, marks)
            note.table("label_counts", label_table(labels, val_labels))
        _classes(note, train, look, labels, val_labels, in_order=in_order)
        _shifts(note, train, val, (labels, val_labels), how)
        if problem:
            note.missed(problem, *VALIDATION)


def _held_out(context: ProbeContext) -> tuple[Samples | None, str]:
    """Return the validation samples if they can be read, and what went wrong if they cannot."""
    try:
        return validation_samples(context), ""
    except TargetError as problem:
        return None, str(problem)


def _finite(context: ProbeContext, train: Samples) -> None:
    found = non_finite(train)
    context.note.measure("nonfinite_values", found.count)
    context.note.measure("nonfinite_where", found.where or "nowhere")
    context.note.measure(
        "nonfinite_harms", bool(found.count) and reaches_the_gradient(context, found.batch))


def _scale(note: Notebook, train: Samples, look: FirstLook) -> None:
    names = ("input_size", "input_std", "input_range", "input_spread")
    scales = {
        layer: scale for layer, got in look.received.layers.items()
        if (scale := _features.scale_of(torch.cat(got.rows), channels=got.channels)) is not None
    }
    if not scales:
        if look.problem and not look.received.layers:
            note.missed(f"the model did not run: {look.problem}", *names)
        else:
            note.absent("no numeric input reaches a layer with weights as it is", *names)
        return
    layer, scale = max(scales.items(), key=lambda item: float(item[1].sizes.max()))
    note.measure("input_size", float(scale.sizes.max()))
    note.measure("input_std", max(float(s.stds.max()) for s in scales.values()))
    note.measure("input_range", max(float(s.ranges.max()) for s in scales.values()))
    note.measure("input_spread", max(
        s.spread if s.largest > 1.5 else 1.0 for s in scales.values()))
    worst = int(scale.sizes.argmax())
    note.measure("input_feature", f"{scale.kind} {worst} of what {layer or 'the model'} receives "
                 f"(mean {float(scale.means[worst]):.4g}, std {float(scale.stds[worst]):.4g})")
    note.measure("standardising_code", standardising_code(train.inputs))


def _columns(note: Notebook, train: Samples) -> None:
    floats = [t for t in train.inputs if t is not None and t.is_floating_point() and t.dim() > 1]
    if not floats or not train.separate or train.count < _FEWEST:
        reason = "no numeric inputs of fixed shape" if not floats else "too few separate samples"
        note.absent(reason, "constant_share", "constant_columns", "input_condition")
        return
    note.measure("constant_share", _features.constant_share(floats))
    table = next((t for t in floats if t.dim() == 2), None)
    columns = _features.constant_columns(table) if table is not None else []
    named = table is not None and table.shape[1] <= _WIDEST_NAMED
    note.measure("constant_columns", len(columns) if named else 0)
    note.measure("constant_names", ", ".join(map(str, columns[:10])) if named else "")
    enough = table is not None and table.shape[0] >= _ROWS_PER_COLUMN * table.shape[1]
    found = (_features.conditioning(table)
             if table is not None and enough and table.shape[1] <= _WIDEST_TABLE else None)
    if found is None:
        note.absent("no table of at least two columns and enough rows", "input_condition")
        return
    note.measure("input_condition", found[0])
    note.measure("input_components", found[1])


def _targets(note: Notebook, train: Samples, look: FirstLook) -> None:
    main, target = look.main, targets_as_given(train, look)
    if main is None or target is None:
        reason = look.problem and f"the model stopped before the loss: {look.problem}"
        if reason:
            note.missed(reason, "invalid_target_share")
        else:
            note.absent("no known loss function with targets was called", "invalid_target_share")
        return
    found = [misfit(main, target)]
    found += [misfit(call, call.target) for calls in look.calls for call in calls
              if call.target is not None and call.name != main.name]
    worst = max((item for item in found if item), key=lambda item: item.share, default=None)
    note.measure("invalid_target_share", worst.share if worst else 0.0)
    note.measure("invalid_target_problem", worst.problem if worst else "")
    note.measure("invalid_target_loss", main.name)
    note.measure("invalid_target_code", worst.fix if worst and worst.fix else
                 "# look at the rows with such targets")


def _order_of(
    context: ProbeContext, train: Samples, labels: Tensor | None, how: Drawing,
) -> bool | None:
    """Measure the order; return whether the samples come in an order that goes with the target."""
    names = ("order_p", "order_explained")
    target = labels if labels is not None else _numbers(train.target)
    if target is None:
        context.note.absent("the targets are neither classes nor numbers", *names)
    elif how == "by its own sampler":
        context.note.absent("the loader has a sampler of its own, which sets the order", *names)
    elif len(train.sizes) < _FEWEST_BATCHES:
        context.note.absent(f"the loader gives fewer than {_FEWEST_BATCHES} batches", *names)
    else:
        classes = labels is not None
        found = context.batches.once(
            f"order of {train.count}, {classes}", lambda: _order.order_test(
                target, train.sizes, classes=classes, seed=context.seed))
        if found is None:
            context.note.absent("all targets are the same", *names)
            return None
        context.note.measure("order_p", found.p)
        context.note.measure("order_explained", found.explained)
        context.note.measure("order_drawing", how)
        return found.p <= 1e-3
    return None


def _classes(
    note: Notebook, train: Samples, look: FirstLook, labels: Tensor | None,
    val_labels: Tensor | None, *, in_order: bool | None,
) -> None:
    names = ("rarest_class_evenness", "rarest_class_share")
    weighed = _labels.weighing(look.main)
    if labels is None or weighed:
        note.absent(weighed or "the samples do not have one class each", *names)
        return
    if in_order and not train.exhausted:
        note.missed("the samples come sorted, and only the first were read", *names)
        return
    found = _labels.rarity(labels, val_labels, _labels.outputs_of(look.main))
    if found is None or len(labels) < _FEWEST:
        note.absent("a single class, or too few samples", *names)
        return
    note.measure("labelled_samples", len(labels))
    note.measure("rarest_class_evenness", found.evenness, samples=len(labels))
    note.measure("rarest_class_share", found.share, samples=len(labels))
    note.measure("rarest_class", found.label)
    note.measure("rare_classes", found.together)
    note.measure("class_count", len(found.weights) + len(found.unseen))
    note.measure("class_weights", ", ".join(f"{w:.3g}" for w in found.weights[:20]))
    note.measure("classes_unseen", ", ".join(map(str, found.unseen[:10])))
    note.measure("labels_start_at_one", found.from_one)


def _shifts(
    note: Notebook, train: Samples, val: Samples | None,
    labels: tuple[Tensor | None, Tensor | None], how: Drawing,
) -> None:
    names = ("input_shift", "input_rescaling", "some_input_rescaling", "label_distance")
    if val is None or min(train.count, val.count) < _FEWEST:
        note.absent("no validation data, or too few samples", *names)
        return
    found = _shift.input_shift(train.inputs, val.inputs)
    whole = train.exhausted or how == "shuffled"
    distance = None
    if labels[0] is not None and labels[1] is not None and (
            whole and how != "with repeats" and not _open_end(val)):
        distance = _shift.label_shift(labels[0], labels[1])
    if found is None and distance is None:
        note.absent("neither numeric inputs nor whole sets of labels to compare", *names)
        return
    note.measure("input_shift", found.moved if found else 0.0)
    note.measure("input_rescaling", found.rescaled if found else 1.0)
    note.measure("some_input_rescaling", found.some_rescaled if found else 1.0)
    note.measure("label_distance", distance or 0.0)
    note.measure("input_shift_direction", "larger" if found and found.larger else "smaller")


def _open_end(val: Samples) -> bool:
    return not val.exhausted


def _numbers(target: Tensor | None) -> Tensor | None:
    """Return one number per sample, (N,), for regression targets: of several the one that varies.

    That is the one with the largest variance; of very many some are looked at.
    """
    if target is None or not target.is_floating_point() or not target.numel():
        return None
    columns = target.reshape(target.shape[0], -1)
    columns = columns[:, ::-(-columns.shape[1] // _WIDEST_TABLE)].double()
    widest = columns[:, int(columns.var(dim=0, correction=0).nan_to_num(-1.0).argmax())]
    return widest if math.isfinite(float(widest.sum())) else None
