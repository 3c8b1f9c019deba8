"""A report in which everything was measured, of a model with as many layers as a test asks for."""

from __future__ import annotations

import math
from dataclasses import replace

from sample_reports import failing

from auditor.observation import Json, Measurement, Observation, Place, Series
from auditor.report import Layer, Report, RuleSummary

_STEPS = tuple(float(step) for step in range(60))


def measured(layers: int = 5, limits: bool = True) -> Report:
    """Return the broken report with every series and table that the built-in probes write."""
    broken = failing()
    weights = [f"blocks.{i}.linear" for i in range(layers)]
    units = [f"blocks.{i}:relu" for i in range(layers)]
    rows = tuple(Layer(path, kind, size, Place("model.py", 9, 26)) for pair in
                 zip(weights, units, strict=True)
                 for path, kind, size in ((pair[0], "Linear", 16640), (pair[1], "relu", 0)))
    hit = replace(broken.findings[0], layers=tuple(units[: layers // 2]))
    rules = {**broken.rules, **(_limits(broken) if limits else {})}
    return replace(
        broken, layers=rows, rules=rules, findings=(hit, *broken.findings[1:]),
        target={**broken.target, "lr": 0.01},
        observations=(_data(), _initialisation(weights), _layers(weights, units), _rates(),
                      _overfit(), _fit(), _batch()),
    )


def _limits(broken: Report) -> dict[str, RuleSummary]:
    model = broken.rules["dying-relu"]
    told = {"dying-relu": {"max_dead_share": 0.7}, "saturated-activation": {"max_flat_share": 0.6},
            "vanishing-gradient": {"lost": -4.0}, "exploding-gradient": {"max_depth": 2.5},
            "update-ratio-off": {"min_ratio": 1e-7, "max_ratio": 0.3}}
    return {rule: replace(broken.rules.get(rule, model), limits=limits)
            for rule, limits in told.items()}


def _data() -> Observation:
    features: list[Json] = [
        {"layer": "", "feature": f"column {i}", "min": -2.0 - i, "max": 3.0 + i, "mean": 0.1,
         "std": 1.0} for i in range(40)]
    labels: list[Json] = [{"class": i, "training": 400 - i, "validation": 100} for i in range(10)]
    return Observation("data", tables={"input_features": features, "label_counts": labels},
                       measurements=(Measurement("data_samples", 4000),))


def _initialisation(weights: list[str]) -> Observation:
    return Observation("initialization", tables={"initialization_layers": [*weights]}, series=(
        _by_layer("initialization_forward", "measured", weights, 0.98),
        _by_layer("initialization_forward", "theory", weights, 0.99)))


def _layers(weights: list[str], units: list[str]) -> Observation:
    steps = _STEPS[:45]
    followed = sorted({round(i * (len(weights) - 1) / 5) for i in range(6)})
    by_step = tuple(
        Series(name, weights[i], steps, tuple(0.1 / (1 + i + step) for step in steps), "step", unit)
        for name, unit in (("gradient_rms_by_step", "rms"), ("update_ratio_by_step", "ratio"))
        for i in followed)
    return Observation(
        "layers", steps=45,
        measurements=tuple(Measurement("dead_share", i / len(units), path)
                           for i, path in enumerate(units)),
        series=(
            Series("layer_loss", "loss", steps, tuple(2 / (1 + s) for s in steps), "step", "loss"),
            _by_layer("activation_std_by_layer", "first step", units, 0.99),
            _by_layer("activation_std_by_layer", "last step", units, 0.97),
            _by_layer("dead_share_by_layer", "start", units, 0.9),
            _by_layer("dead_share_by_layer", "end", units, 0.95),
            _by_layer("gradient_rms_by_layer", "first step", weights, 0.98),
            _by_layer("gradient_rms_by_layer", "last step", weights, 0.97),
            _by_layer("update_ratio_by_layer", "median", weights, 0.99), *by_step),
        tables={"activation_layers": [*units], "dead_share_layers": [*units],
                "weight_layers": [*weights],
                "activation_histograms": [_histogram(unit, step) for step in (0, 44)
                                          for unit in units]},
    )


def _histogram(layer: str, step: int) -> Json:
    width = 7 + step / 10
    return {"layer": layer, "step": step, "edges": [round(-2 + i * 0.1, 2) for i in range(41)],
            "counts": [round(1000 * math.exp(-(((i - 20) / width) ** 2))) for i in range(40)]}


def _rates() -> Observation:
    rates = tuple(10 ** (-6 + i * 7 / 39) for i in range(40))
    losses = tuple(2.3 - math.exp(-((math.log10(rate) + 2) ** 2)) for rate in rates)
    race = tuple(Series("lr_race", f"{rate}", _STEPS, tuple(2.3 * (1 - rate) ** s for s in _STEPS),
                        "step", "loss") for rate in (0.01, 0.02, 0.04, 0.08))
    told = {"user_lr": 0.01, "suggested_lr": 0.02, "flat_lr_low": 0.01, "flat_lr_high": 0.04,
            "stable_lr_low": 0.001, "stable_lr_high": 0.1}
    return Observation(
        "learning_rate", steps=400,
        measurements=tuple(Measurement(name, value) for name, value in told.items()),
        series=(Series("lr_sweep", "loss over one round of batches", rates, losses,
                       "learning rate", "loss"),
                replace(race[0], name="lr_trial_user"), *race))


def _overfit() -> Observation:
    told = {"subset_size": 16, "overfit_start": 2.3, "overfit_loss": 0.01}
    return Observation(
        "overfit", measurements=tuple(Measurement(name, value) for name, value in told.items()),
        series=tuple(Series("overfit_loss", label, _STEPS, tuple(2.3 * f**s for s in _STEPS),
                            "step", "loss") for label, f in (("as it is", 0.95), ("other", 0.9))))


def _fit() -> Observation:
    steps = tuple(float(i * 40) for i in range(12))
    told = {"fit_best_step": 200.0, "fit_best_val_loss": 1.1, "fit_val_loss": 1.5,
            "fit_train_loss": 0.4}
    hardest: list[Json] = [
        {"index": 10 + i, "loss": 4.0 - i / 10, "target": 7, "prediction": 1,
         "picture": [[round((x * y + i) % 7 / 7, 2) for x in range(16)] for y in range(16)]}
        for i in range(8)]
    return Observation(
        "fit", measurements=tuple(Measurement(name, value) for name, value in told.items()),
        tables={"hardest_samples": hardest},
        series=(Series("fit", "training", steps, tuple(2 - i / 8 for i in range(12)), "step",
                       "loss"),
                Series("fit", "validation", steps, tuple(1.1 + abs(i - 5) / 10 for i in range(12)),
                       "step", "loss")))


def _batch() -> Observation:
    rows: list[Json] = [{"batch_size": size, "samples_per_second": 1000.0 * size**0.5,
                         "memory_mb": size / 20, "lr": size / 6400} for size in (16, 32, 64, 128)]
    told = {"batch_size": 64, "noise_scale": 90.0, "fastest_batch": 128, "throughput_gain": 1.4}
    return Observation(
        "batch_size", tables={"batch_sizes": rows},
        measurements=tuple(Measurement(name, value) for name, value in told.items()))


def _by_layer(name: str, label: str, layers: list[str], factor: float) -> Series:
    depth = tuple(float(i) for i in range(len(layers)))
    return Series(name, label, depth, tuple(factor**x for x in depth), "layer", "rms")
