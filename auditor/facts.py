"""What a report says of the target, the machine and the probes, before anything is judged."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import nn

from auditor.observation import Json, Observation
from auditor.probe import Probe
from auditor.report import Layer, ProbeRun, Report
from auditor.repository import folder_in_repository
from auditor.target import Target
from auditor.trial import Bench


@dataclass(frozen=True)
class ModelFacts:
    """What one fresh copy of the target tells.

    Attributes:
        parameters: Elements of all parameters, shared ones once.
        trainable: Of those that require a gradient.
        optimizer: Class name.
        lr: Peak rate of the first group.
        layers: The model map.
    """

    parameters: int
    trainable: int
    optimizer: str
    lr: float
    layers: tuple[Layer, ...]


def model_facts(bench: Bench, layers: tuple[Layer, ...]) -> ModelFacts:
    """Count the parameters of a bench and name its optimizer."""
    sized = [p for p in bench.model.parameters() if not _is_lazy(p)]
    return ModelFacts(
        parameters=sum(p.numel() for p in sized),
        trainable=sum(p.numel() for p in sized if p.requires_grad),
        optimizer=type(bench.optimizer).__name__,
        lr=bench.lr,
        layers=layers,
    )


def unjudged_report(
    target: Target,
    model: ModelFacts | None,
    observations: Sequence[Observation],
    probes: Mapping[str, type[Probe]],
    *,
    seed: int,
    seconds: float,
    training_seconds: float,
    notes: Sequence[str] = (),
    interrupted: bool = False,
) -> Report:
    """Return a report that holds everything but verdicts and findings.

    Args:
        target: Of the audit.
        model: None when no copy of it could be run.
        observations: Of the probes that ran.
        probes: All installed ones by name.
        seed: Of the audit.
        seconds: Wall time of the audit.
        training_seconds: Of that, inside of forward, backward and optimizer steps.
        notes: Sentences for the reader; the target's and the observations' own are added.
        interrupted: The user stopped the audit before all had been measured.
    """
    said = [*target.notes, *notes, *(note for o in observations for note in o.notes)]
    return Report(
        verdict="incomplete",
        target=_target(target, model),
        layers=model.layers if model else (),
        environment={**_environment(str(target.device), seed, seconds),
                     "training_seconds": round(training_seconds, 2), "interrupted": interrupted},
        observations=tuple(observations),
        probes=_runs(observations, probes),
        notes=tuple(dict.fromkeys(said)),
        quantities={q.name: q for probe in probes.values() for q in probe.yields},
        version=own_version(),
    )


def blank_report(
    file: str, probes: Mapping[str, type[Probe]], *, seed: int, device: str,
) -> Report:
    """Return what is known of an audit before the target is loaded."""
    return Report(
        verdict="incomplete", target={"file": file},
        environment=_environment(device, seed, 0.0), probes=_runs((), probes),
        quantities={q.name: q for probe in probes.values() for q in probe.yields},
        version=own_version(),
    )


def own_version() -> str:
    """Return the installed version of the auditor."""
    try:
        return version("auditor")
    except PackageNotFoundError:
        return "unknown"


def _target(target: Target, model: ModelFacts | None) -> dict[str, Json]:
    places = {
        role: place.to_json() for role, place in (
            ("optimizer", target.optimizer_place), ("loader", target.loader_place),
            ("loss", target.loss_place), ("model", target.model_place),
        ) if place is not None
    }
    facts: dict[str, Json] = {
        "file": target.file, "model": target.name, "kind": target.kind,
        "names": dict(target.names), "places": dict(places),
        "loss": _loss_name(target),
        "validation": target.make_val_loader is not None,
        "initialisations": "fresh" if target.reinitialises else "one",
    }
    if model is not None:
        facts |= {"parameters": model.parameters, "trainable": model.trainable,
                  "optimizer": model.optimizer, "lr": model.lr}
    return facts


def _loss_name(target: Target) -> str:
    if target.kind == "model":
        return "inside the model"
    if target.kind == "step":
        return "training step"
    loss: Any = target.loss_fn
    return type(loss).__name__ if isinstance(loss, nn.Module) else getattr(loss, "__name__", "")


def _environment(device: str, seed: int, seconds: float) -> dict[str, Json]:
    folder = folder_in_repository()
    return {
        "auditor": own_version(), "torch": str(torch.__version__),
        "python": platform.python_version(), "platform": sys.platform,
        "device": device, "threads": torch.get_num_threads(), "seed": seed,
        "seconds": round(seconds, 2), **({"folder": folder} if folder else {}),
    }


def _runs(
    observations: Sequence[Observation], probes: Mapping[str, type[Probe]],
) -> tuple[ProbeRun, ...]:
    """Return one row a probe, in the order in which they ran; the others after them."""
    yields = {name: tuple(q.name for q in probe.yields) for name, probe in probes.items()}
    ran = [ProbeRun(o.probe, o.status, o.seconds, o.steps, o.reason, yields.get(o.probe, ()))
           for o in observations]
    seen = {run.name for run in ran}
    return (*ran, *(ProbeRun(name, "not-run", reason="not selected", yields=names)
                    for name, names in yields.items() if name not in seen))


def _is_lazy(parameter: nn.Parameter) -> bool:
    return isinstance(parameter, nn.parameter.UninitializedParameter)
