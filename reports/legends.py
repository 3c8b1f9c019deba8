"""What stands on a chart beside its lines: title, marks, limits and the range that is fine.

Only names stand here, of series, measurements, rules and thresholds; the numbers are the report's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.finding import Evidence
from auditor.report import Report

from .charts import Band
from .scales import is_drawable
from .wording import number

# What an axis shows -> where the target tells the user's own setting.
_SETTINGS = {"learning rate": "lr"}


@dataclass(frozen=True, slots=True)
class Legend:
    """What is known of a series by its name.

    Attributes:
        title: Of the chart; empty for one made of the name.
        marks: Pairs of words and of the measurement that tells where they stand on the x axis.
        stretch: Two measurements between which the x axis is fine, and the words for it.
        limits: Thresholds ("rule.name") that are drawn as lines across.
        band: Two thresholds between which the y axis is fine, and the words for it.
        layers: The table that names the positions along the x axis, where several could.
        lines: Pairs of words and of the measurement whose value is the name of a line.
    """

    title: str = ""
    marks: tuple[tuple[str, str], ...] = ()
    stretch: tuple[str, str, str] | None = None
    limits: tuple[str, ...] = ()
    band: tuple[str, str, str] | None = None
    layers: str = ""
    lines: tuple[tuple[str, str], ...] = ()


_WORKABLE = ("update-ratio-off.min_ratio", "update-ratio-off.max_ratio", "workable")
_LEGENDS: Mapping[str, Legend] = {
    "lr_sweep": Legend("loss while the learning rate rises", (("suggested", "suggested_lr"),),
                       ("stable_lr_low", "stable_lr_high", "loss falls")),
    "lr_race": Legend("the best rates against yours, same batches",
                      lines=(("in use", "user_lr"), ("suggested", "suggested_lr"))),
    "lr_trial_user": Legend("a trial at your rate"),
    "lr_trial_suggested": Legend("a trial at the suggested rate"),
    "layer_loss": Legend("loss of the short run that was watched"),
    "activation_std_by_layer": Legend("size of the activations by layer"),
    "dead_share_by_layer": Legend(
        "units that never fire, by layer",
        limits=("dying-relu.max_dead_share",)),
    "flat_share_by_layer": Legend(
        "outputs on the flat parts of the activation, by layer",
        limits=("saturated-activation.max_flat_share",)),
    "gradient_rms_by_layer": Legend("gradient of the weights by layer",
                                    layers="weight_layers"),
    "gradient_rms_by_step": Legend("gradient of the weights by step"),
    "gradient_decades_by_layer": Legend(
        "gradient at a layer's output over that at the end of its stretch",
        band=("vanishing-gradient.lost", "exploding-gradient.max_depth", "healthy")),
    "update_ratio_by_layer": Legend("size of a step over the size of the weights, by layer",
                                    band=_WORKABLE, layers="weight_layers"),
    "update_ratio_by_step": Legend("size of a step over the size of the weights, by step",
                                   band=_WORKABLE),
    "initialization_forward": Legend("size of the signal at initialisation, against theory"),
    "overfit_loss": Legend("loss while a few samples are learned by heart"),
    "overfit_score": Legend("score while a few samples are learned by heart"),
    "fit": Legend("loss on training and on validation samples",
                  (("lowest on validation", "fit_best_step"),)),
    "throughput_by_batch": Legend("speed by batch size", (
        ("in use", "batch_size"), ("noise scale", "noise_scale"), ("fastest", "fastest_batch"))),
    "memory_by_batch": Legend("memory of a step by batch size", (("in use", "batch_size"),)),
}


def legend_of(name: str) -> Legend:
    """Return what is known of a series; an empty legend for that of a stranger's probe."""
    return _LEGENDS.get(name, Legend())


def measured(report: Report, name: str) -> float | None:
    """Return a number that was measured once for the run; None where it was not."""
    for seen in report.observations:
        value = seen.value(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    return None


def limit_of(report: Report, name: str) -> float | None:
    """Return an effective threshold ("rule.name"); None where the report does not tell it."""
    rule, _, threshold = name.partition(".")
    told = report.rules.get(rule)
    return told.limits.get(threshold) if told else None


def marks_of(report: Report, name: str, x_name: str) -> tuple[tuple[float, str], ...]:
    """Return where the user's own setting and what was found stand on the x axis."""
    found: list[tuple[float, str]] = []
    setting = report.target.get(_SETTINGS.get(x_name, ""))
    told = [("in use", float(setting) if isinstance(setting, (int, float)) else None)]
    told += [(words, measured(report, source)) for words, source in legend_of(name).marks]
    for words, value in told:
        if value is None or not is_drawable(value):
            continue
        same = next((at for at, (other, _) in enumerate(found) if other == value), None)
        if same is None:
            found.append((value, f"{words}: {number(value)}"))
        else:
            found[same] = (value, f"{words}, {found[same][1]}")
    return tuple(found)


def line_name(report: Report, name: str, label: str) -> str:
    """Return the name of a line, with what it is where its label is a measured value."""
    for words, source in legend_of(name).lines:
        value = measured(report, source)
        if value is not None and label == f"{value:.2g}":
            return f"{label}, {words}"
    return label


def limits_of(
    report: Report, name: str, evidence: Sequence[Evidence],
) -> tuple[tuple[float, str], ...]:
    """Return the limits across: of the rules that judge it, and of the evidence named like it."""
    values = {item.threshold for item in evidence
              if item.measurement == name and item.threshold is not None}
    values |= {limit for source in legend_of(name).limits
               if (limit := limit_of(report, source)) is not None}
    return tuple((value, f"limit {number(value)}") for value in sorted(values)
                 if math.isfinite(value))


def bands_of(report: Report, name: str) -> tuple[Band, ...]:
    """Return the ranges that are fine, of x and of y."""
    legend, found = legend_of(name), []
    if legend.stretch:
        low, high = (measured(report, source) for source in legend.stretch[:2])
        if low is not None and high is not None:
            found.append(Band(low, high, legend.stretch[2], is_across=True))
    if legend.band:
        low, high = (limit_of(report, source) for source in legend.band[:2])
        if low is not None and high is not None:
            words = f"{legend.band[2]}: {number(low)} to {number(high)}"
            found.append(Band(low, high, words))
    return tuple(found)
