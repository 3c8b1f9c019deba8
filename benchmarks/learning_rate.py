"""How good is the suggested learning rate? Regret against a grid, beside two other range tests.

Every set-up is trained for 300 steps at each of 12 rates; the best of them is what a suggestion is
measured against, by training for 300 steps at the suggestion:

    regret = (loss at the suggestion - best loss of the grid) / (loss at the start - best loss)

0 is as good as the best rate of the grid (negative: better), 1 is nothing learned. Run it with

    python -m benchmarks.learning_rate [--setups NAME ...] [--seeds N] [--store FILE]

`--store` keeps what was measured, so that a run can be taken in pieces. The peers are left out
when `torch-lr-finder` or `lightning` is not installed.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch

from auditor.isolation import seeded
from auditor.probe import Notebook, ProbeContext
from auditor.store import BatchStore
from benchmarks.learning_rate_peers import lightning_finder, torch_lr_finder
from benchmarks.learning_rate_setups import SETUPS, Setup

STEPS = 300
LOWEST, HIGHEST, POINTS = 1e-5, 3.0, 12
GRID = [LOWEST * (HIGHEST / LOWEST) ** (i / (POINTS - 1)) for i in range(POINTS)]
Record = dict[str, float]


def final_loss(setup: Setup, lr: float, seed: int) -> tuple[float, float]:
    """Return the loss on training samples before and after 300 steps; infinite if it diverged."""
    with seeded(seed):
        model = setup.make_model()
        optimizer = setup.make_optimizer(model, lr)
        judged = setup.judged()
        start = _loss(setup, model, judged)
        for x, y in setup.stream(seed, STEPS):
            optimizer.zero_grad()
            loss = setup.loss(model(x), y)
            if not math.isfinite(loss.item()):
                return start, math.inf
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        end = _loss(setup, model, judged)
    return start, end if math.isfinite(end) else math.inf


def _loss(setup: Setup, model: torch.nn.Module, judged: tuple[torch.Tensor, torch.Tensor]) -> float:
    with torch.no_grad():
        return float(setup.loss(model(judged[0]), judged[1]))


def ours(setup: Setup, seed: int) -> tuple[float, int]:
    """Return the rate that the probe suggests and the steps that it takes."""
    probe = import_module("auditor.probes.learning_rate").LearningRate
    target = setup.target(user_lr=1e-3)
    note = Notebook(probe.name, probe.yields)
    store = BatchStore(target, seed)
    context = ProbeContext(target=target, batches=store, note=note, seed=seed)
    probe().run(context)
    store.close()
    suggested = note.observation().value("suggested_lr")
    assert isinstance(suggested, float)
    return suggested, note.steps


def finders() -> dict[str, Callable[[Setup, int], tuple[float, int]]]:
    """Return the range tests to compare, by name."""
    found: dict[str, Callable[[Setup, int], tuple[float, int]]] = {"auditor": ours}
    if find_spec("torch_lr_finder"):
        found["torch-lr-finder"] = torch_lr_finder
    if find_spec("lightning"):
        found["lightning"] = lightning_finder
    return found


def measure(setup: Setup, seed: int, store: dict[str, Record], save: Callable[[], None]) -> None:
    """Fill in what the store lacks for one set-up and seed."""
    key = f"{setup.name}/{seed}"
    record = store.setdefault(key, {})
    for lr in GRID:
        if f"grid {lr:.3g}" not in record:
            record["start"], record[f"grid {lr:.3g}"] = final_loss(setup, lr, seed)
    for name, find in finders().items():
        if f"{name} loss" in record:
            continue
        begin = time.process_time()
        lr, steps = find(setup, seed)
        record[f"{name} seconds"] = time.process_time() - begin
        record[f"{name} lr"], record[f"{name} steps"] = lr, steps
        good = math.isfinite(lr) and lr > 0
        record[f"{name} loss"] = final_loss(setup, lr, seed)[1] if good else math.inf
    save()


def regret(record: Record, name: str) -> float:
    """Return the normalised regret of one suggestion, at most 1; a divergence counts as 1."""
    best = min(value for key, value in record.items() if key.startswith("grid "))
    loss = min(record[f"{name} loss"], record["start"])
    return (loss - best) / (record["start"] - best)


def table(store: dict[str, Record]) -> Iterator[str]:
    """Yield the lines of the result."""
    names = list(finders())
    yield f"{'set-up / seed':32s}" + "".join(f"{name:>28s}" for name in names)
    for key, record in sorted(store.items()):
        cells = [f"{record[f'{n} lr']:.2e} {regret(record, n):8.4f}" for n in names
                 if f"{n} loss" in record]
        yield f"{key:32s}" + "".join(f"{cell:>28s}" for cell in cells)
    yield ""
    yield f"{'':32s}" + "".join(f"{title:>12s}" for title in (
        "median", "mean", "worst", "over 5 %", "steps", "CPU s"))
    for name in names:
        records = [record for record in store.values() if f"{name} loss" in record]
        regrets = [regret(record, name) for record in records]
        steps, seconds = (statistics.fmean(r[f"{name} {what}"] for r in records)
                          for what in ("steps", "seconds"))
        yield (f"{name:32s}{statistics.median(regrets):12.4f}{statistics.fmean(regrets):12.4f}"
               f"{max(regrets):12.4f}{sum(r > 0.05 for r in regrets) / len(regrets):12.0%}"
               f"{steps:12.0f}{seconds:12.2f}")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--setups", nargs="*", default=list(SETUPS), choices=list(SETUPS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--store", type=Path, help="JSON file that keeps what was measured")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    store: dict[str, Record] = {}
    if chosen.store and chosen.store.exists():
        store = json.loads(chosen.store.read_text(encoding="utf-8"))

    def save() -> None:
        if chosen.store:
            chosen.store.write_text(json.dumps(store, indent=1), encoding="utf-8")

    for name in chosen.setups:
        for seed in range(chosen.seeds):
            measure(SETUPS[name], seed, store, save)
            print(f"{name}/{seed} done", flush=True)
    print("\n".join(table(store)))


if __name__ == "__main__":
    main()
