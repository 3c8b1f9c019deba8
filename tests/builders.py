"""Targets and observations made in a few lines, for tests of probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from auditor.observation import Observation
from auditor.probe import NotApplicable, Notebook, Probe, ProbeContext
from auditor.store import BatchStore
from auditor.target import ComputeLoss, Target, WithLossFunction


def target(
    make_model: Callable[[], nn.Module],
    x: Tensor,
    y: Tensor,
    loss_fn: Any = None,
    *,
    compute: ComputeLoss | None = None,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    lr: float = 1e-3,
    batch_size: int = 32,
    shuffle: bool = True,
    val: tuple[Tensor, Tensor] | None = None,
    **changes: Any,
) -> Target:
    """Return a target over tensors; `changes` are further attributes of `Target`."""
    loss_fn = loss_fn if loss_fn is not None else nn.CrossEntropyLoss()

    def loader(data: tuple[Tensor, Tensor], mixed: bool) -> DataLoader[Any]:
        return DataLoader(TensorDataset(*data), batch_size=batch_size, shuffle=mixed)

    settings: dict[str, Any] = {
        "name": "Model",
        "file": "model.py",
        "make_model": make_model,
        "make_train_loader": lambda: loader((x, y), shuffle),
        "compute": compute or WithLossFunction(loss_fn),
        "kind": "step" if compute else "loss",
        "make_optimizer": lambda model: optimizer(model.parameters(), lr=lr),
        "make_val_loader": (lambda: loader(val, False)) if val is not None else None,
        "loss_fn": loss_fn,
    }
    return Target(**{**settings, **changes})


def observe(
    probe: str, audited: Target, *, seed: int = 0, earlier: Sequence[Observation] = (),
) -> Observation:
    """Run one installed probe on a target, as a session does."""
    found = next(p for p in _installed() if p.name == probe)
    note = Notebook(found.name, found.yields)
    store = BatchStore(audited, seed)
    context = ProbeContext(
        target=audited, batches=store, note=note, seed=seed,
        earlier={observation.probe: observation for observation in earlier},
    )
    try:
        found().run(context)
    except NotApplicable as outcome:
        return note.observation(status="not-applicable", reason=str(outcome))
    finally:
        store.close()
    return note.observation()


def part_of_probes(name: str) -> ModuleType:
    """Return a module of the probes' wing, which tests reach as the registry does."""
    return import_module(f"auditor.probes.{name}")


def _installed() -> Sequence[type[Probe]]:
    return tuple(import_module("auditor.probes").PROBES)
