"""Three reports for tests of renderers: a broken model, a healthy one, one hardly measured.

The broken one has five errors from three causes, a warning, a note, and a rule of every verdict.
"""

from __future__ import annotations

import math
from dataclasses import replace

from sample_findings import findings

from auditor.finding import Finding, Verdict
from auditor.jointtrial import JointFix, JointTrial
from auditor.observation import Measurement, Observation, Place, Quantity, Series
from auditor.report import Layer, ProbeRun, Report, RuleSummary

_NO_TIME = "the time budget was used up (run with --budget 120s)"
_NO_GRADIENT = "RuntimeError: the loss of a trial has no gradient"

_PASSES = {
    "batch-too-large": ("batch", "The batch is not larger than it pays"),
    "class-imbalance": ("data", "Every class is seen often enough"),
    "initial-loss-off": ("objective", "The first loss is what chance gives"),
    "lr-too-low": ("learning-rate", "The learning rate is not too low"),
    "non-finite-input": ("data", "Every input and target is finite"),
    "overfitting": ("fit", "Training and validation stay together"),
    "vanishing-gradient": ("gradient", "Gradients of all layers lie within one range"),
}


def failing() -> Report:
    """Return the report of a model with four faults and what follows from them."""
    fired = findings()
    return Report(
        verdict="fail",
        findings=fired,
        verdicts=_verdicts(fired),
        rules=_rules(fired),
        target={
            "file": "model.py", "model": "DeepGate", "parameters": 58890,
            "data": "DataLoader of 2048 samples, batches of 64", "loss": "CrossEntropyLoss",
            "optimizer": "SGD", "lr": 0.5, "validation": False,
            "places": {"optimizer": Place("model.py", 39, 13).to_json()},
        },
        layers=_layers(),
        environment={
            "auditor": "0.1.0", "torch": "2.13.0", "python": "3.11.7", "device": "cpu", "seed": 0,
            "seconds": 12.3, "command": "audit run model.py",
        },
        observations=_observations(),
        probes=tuple(_run_of(observation) for observation in _observations()),
        joint=JointTrial("accuracy", 60, (0.1, 0.1), (0.78, 0.87), (
            JointFix("double-softmax", "drop-softmax", (0.2, 0.34), (0.1, 0.11), True),
            JointFix("unshuffled-loader", "shuffle", (0.77, 0.88), (0.1, 0.1), False),
        )),
        notes=("One initialisation was seen: the model is made at import.",),
        quantities={
            item.measurement: Quantity(item.measurement, item.unit, item.says,
                                       "layer" if item.layer else "run")
            for finding in fired for item in finding.evidence
        },
        version="0.1.0",
    )


def healthy() -> Report:
    """Return the report of a model in which nothing was found."""
    broken = failing()
    observations = tuple(replace(seen, status="measured", reason="", missed={}, notes=())
                         for seen in broken.observations)
    return replace(
        broken,
        verdict="pass",
        findings=(),
        verdicts={rule: found if found.verdict == "not-applicable" else Verdict("clear")
                  for rule, found in broken.verdicts.items()},
        target={**broken.target, "file": "lenet.py", "model": "LeNet", "parameters": 61706},
        layers=(),
        observations=observations,
        probes=tuple(_run_of(observation) for observation in observations),
        notes=(),
    )


def incomplete() -> Report:
    """Return the report of a model whose learning rate and batch size were not measured."""
    whole = healthy()
    failed = Verdict("not-measured", f"probe learning-rate failed: {_NO_GRADIENT}")
    missed = {
        "lr-too-high": failed, "lr-too-low": failed,
        "batch-too-large": Verdict("not-measured", f"probe batch-size: {_NO_TIME}"),
    }
    *before, rate, batch = whole.probes
    return replace(
        whole,
        verdict="incomplete",
        verdicts={**whole.verdicts, **missed},
        probes=(*before, replace(rate, status="failed", reason=_NO_GRADIENT),
                replace(batch, status="not-run", reason=_NO_TIME)),
        notes=("The optimizer was not given: AdamW(1e-3) was used.",),
    )


def _verdicts(fired: tuple[Finding, ...]) -> dict[str, Verdict]:
    others = {rule: Verdict("clear") for rule in _PASSES}
    others["overfitting"] = Verdict("not-applicable", "the file has no validation data")
    others["vanishing-gradient"] = Verdict(
        "masked", "it cannot be judged before dying-relu is mended")
    others["batch-too-large"] = Verdict("not-measured", f"probe batch-size: {_NO_TIME}")
    return dict(sorted({**others, **{f.rule: Verdict("fired") for f in fired}}.items()))


def _rules(fired: tuple[Finding, ...]) -> dict[str, RuleSummary]:
    told = {rule: RuleSummary(category, "warning", rule.replace("-", " "), passes)
            for rule, (category, passes) in _PASSES.items()}
    told |= {f.rule: RuleSummary(f.category, f.severity, f.title, f"No {f.rule}") for f in fired}
    return dict(sorted(told.items()))


def _layers() -> tuple[Layer, ...]:
    blocks = (Layer(f"blocks.{i}.{j}", kind, size, Place("model.py", 9, 26))
              for i in range(3) for j, kind, size in ((0, "Linear", 4160), (1, "Sigmoid", 0)))
    return (
        Layer("stem", "Linear", 4160, Place("model.py", 14, 21)),
        *blocks,
        Layer("gate", "Linear", 4160, Place("model.py", 17, 21)),
        Layer("gate:relu", "relu", 0, Place("model.py", 24, 13)),
        Layer("head.0", "Linear", 650, Place("model.py", 19, 35)),
        Layer("head.1", "Softmax", 0, Place("model.py", 19, 62)),
    )


def _observations() -> tuple[Observation, ...]:
    depth = tuple(float(i) for i in range(14))
    steps = tuple(float(i) for i in range(0, 150, 5))
    loss = tuple(round(1.461 + 0.84 * math.exp(-step / 18), 4) for step in steps)
    return (
        Observation(
            "data", seconds=0.21,
            measurements=(Measurement("label_order_p", 0.0), Measurement("input_condition", 3.2e5)),
        ),
        Observation(
            "layers", seconds=0.84, steps=3,
            measurements=(Measurement("dead_share", 1.0, "gate"),
                          Measurement("dead_samples", 256, "gate"),
                          Measurement("gradient_ratio", math.inf)),
            series=(
                Series("gradient_rms", "at the start", depth,
                       tuple(round(3e-11 * 10 ** (0.73 * i), 15) for i in range(14)), "depth", ""),
                Series("activation_std", "at the start", depth,
                       tuple(round(0.9 * 0.62**i, 6) for i in range(14)), "depth", ""),
            ),
        ),
        Observation(
            "overfit", seconds=3.4, steps=150,
            measurements=(Measurement("overfit_loss", 1.4612, samples=32),
                          Measurement("rows_that_sum_to_one", 1.0, "head.1"),
                          Measurement("loss_fall", 0.001)),
            series=(Series("overfit_loss", "32 samples", steps, loss, "step", "loss"),),
            notes=("one initialisation was seen",),
        ),
        _sweep(),
        Observation("batch-size", "failed", _NO_TIME, missed={"critical_batch": _NO_TIME}),
    )


def _sweep() -> Observation:
    rates = tuple(float(f"{10 ** (-4 + i * 4.15 / 26):.4g}") for i in range(27))
    losses = (2.31, 2.31, 2.31, 2.3, 2.3, 2.29, 2.29, 2.27, 2.25, 2.2, 2.1, 1.95, 1.7, 1.32, 1.05,
              0.9, 0.98, 0.71, 1.2, 1.9, 2.2, 2.1, 2.35, *[math.nan] * 4)
    return Observation(
        "learning-rate", seconds=6.9, steps=1080,
        measurements=(Measurement("lr_over_best", 9.43, spread=0.6),),
        series=(Series("lr_loss", "40 steps each", rates, losses, "learning rate", "loss"),),
    )


def _run_of(seen: Observation) -> ProbeRun:
    names = tuple(dict.fromkeys(measured.name for measured in seen.measurements))
    return ProbeRun(seen.probe, seen.status, seen.seconds, seen.steps, seen.reason, names)
