"""What was measured, in the order in which a reader asks: pictures with a sentence each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from string import Formatter

from auditor.observation import Series
from auditor.report import Report

from .activations import activation_ridges
from .derived import with_derived
from .exhibits import batch_table, feature_spans, hardest_samples, label_shares
from .legends import measured
from .pictures import Picture, Table, pictures_of
from .wording import number, prose


@dataclass(frozen=True, slots=True)
class Topic:
    """One part of what was measured.

    Attributes:
        ident: For links.
        title: Of the part.
        says: Its result in sentences; those whose numbers are missing are left out.
        pictures: Drawn.
        tables: Of what needs no drawing.
    """

    ident: str
    title: str
    says: tuple[str, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """Of a topic: sentences with names of measurements, names of series, further exhibits."""

    ident: str
    title: str
    says: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    exhibits: tuple[Callable[[Report], Picture | Table | None], ...] = ()


_PLANS = (
    _Plan("rate", "Learning rate", (
        "In use: {user_lr}. The race was won by {suggested_lr}.",
        "Rates from {flat_lr_low} to {flat_lr_high} do as well.",
        "In the sweep the loss falls from {stable_lr_low} on and stays below its start up to "
        "{stable_lr_high}."),
        ("lr_sweep", "lr_race")),
    _Plan("activations", "Activations by layer",
          series=("activation_std_by_layer", "dead_share_by_layer", "flat_share_by_layer"),
          exhibits=(activation_ridges,)),
    _Plan("gradients", "Gradients and updates",
          series=("gradient_rms_by_layer", "gradient_rms_by_step", "gradient_decades_by_layer",
                  "update_ratio_by_layer", "update_ratio_by_step")),
    _Plan("initialisation", "Initialisation", series=("initialization_forward",)),
    _Plan("memorising", "Learning a few samples by heart", (
        "{subset_size} samples; the loss fell from {overfit_start} to {overfit_loss}.",),
        ("overfit_loss", "overfit_score")),
    _Plan("fit", "Training against validation", (
        "The validation loss was lowest at step {fit_best_step}: {fit_best_val_loss}. At the end "
        "it was {fit_val_loss}, on training samples {fit_train_loss}.",),
        ("fit", "layer_loss")),
    _Plan("batch", "Batch size", (
        "In use: {batch_size}. Above the noise scale of {noise_scale} samples a larger batch "
        "saves few steps.",
        "The fastest size timed is {fastest_batch}, {throughput_gain} times the speed of the one "
        "in use."),
        ("throughput_by_batch", "memory_by_batch"), (batch_table,)),
    _Plan("data", "Data", ("{data_samples} training samples were read.",),
          exhibits=(feature_spans, label_shares)),
    _Plan("hardest", "The hardest samples", exhibits=(hardest_samples,)),
)
# These are drawn in `lr_race` as well.
_TWICE = ("lr_trial_user", "lr_trial_suggested")


def topics_of(report: Report) -> list[Topic]:
    """Return the parts that have anything to show; curves of strangers' probes come last."""
    report = with_derived(report)
    every = [series for seen in report.observations for series in seen.series]
    planned = {name for plan in _PLANS for name in plan.series}
    has_race = any(series.name == "lr_race" for series in every)
    known = planned | set(_TWICE if has_race else ())
    topics = [_topic(report, plan, every) for plan in _PLANS]
    topics += _further(report, known)
    return [topic for topic in topics if topic.pictures or topic.tables]


def _topic(report: Report, plan: _Plan, every: list[Series]) -> Topic:
    shown = [exhibit for make in plan.exhibits if (exhibit := make(report))]
    # One point is no curve: where it is of a layer, the model map tells it.
    ordered = [series for name in plan.series for series in every
               if series.name == name and len(series.x) > 1]
    drawn = [item for item in shown if isinstance(item, Picture)]
    return Topic(
        plan.ident, plan.title, tuple(_sentences(report, plan.says)),
        (*drawn, *pictures_of(report, ordered)),
        tuple(item for item in shown if isinstance(item, Table)))


def _sentences(report: Report, templates: tuple[str, ...]) -> Iterator[str]:
    for template in templates:
        names = [name for _, name, _, _ in Formatter().parse(template) if name]
        values = {name: measured(report, name) for name in names}
        told = {name: number(value) for name, value in values.items()}
        is_point = any(told.get(name.removesuffix("_low") + "_high") == text
                       for name, text in told.items() if name.endswith("_low"))
        if None not in values.values() and not is_point:
            yield template.format(**told)


def _further(report: Report, known: set[str]) -> Iterator[Topic]:
    for position, seen in enumerate(report.observations):
        left = [series for series in seen.series if series.name not in known]
        if left:
            title = prose(seen.probe.replace("_", " "))
            yield Topic(f"measured{position}", title, (), tuple(pictures_of(report, left)))
