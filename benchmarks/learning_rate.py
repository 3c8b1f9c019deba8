"""How good is the suggested learning rate? Regret against a grid, beside two other range tests.

Every set-up is trained for 300 steps at each of 12 rates; the best of them is what a suggestion is
measured against, by training for 300 steps at the suggestion:

    regret = (loss at the suggestion - best loss of the grid) / (loss at the start - best loss)

0 is as good as the best rate of the grid (negative: better), 1 is nothing learned. Run it with

    python -m benchmarks.learning_rate [--setups NAME ...] [--seeds N] [--store FOLDER] [--again]
                                       [--development | --held-out]

The probe is asked twice: with its ordinary number of steps and with the quick one. Steps are all
training steps that it takes: sweep, race, and the closer looks at the rate that was set (1e-3).

Losses are kept in a folder as soon as they are measured, so that a run can be taken in pieces and
the grid, which is most of the work, is trained once. `--again` asks all finders anew. The peers are
left out when `torch-lr-finder` or `lightning` is not installed.

The numbers of the probe were chosen on set-ups of their own, like those of
`learning_rate_development.py` and `learning_rate_development_more.py` (other models, data and
seeds); `--development` prints the table of those. The set-ups judged here served to check the probe
on while it was developed. `--held-out` prints the table of those in `learning_rate_held_out.py`,
which nothing was chosen on.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from auditor.isolation import seeded
from auditor.probe import Notebook, Probe, ProbeContext
from auditor.store import BatchStore
from benchmarks.learning_rate_development import DEVELOPMENT
from benchmarks.learning_rate_development_more import MORE
from benchmarks.learning_rate_held_out import HELD_OUT
from benchmarks.learning_rate_peers import lightning_finder, torch_lr_finder
from benchmarks.learning_rate_setups import SETUPS, Setup

STEPS = 300
LOWEST, HIGHEST, POINTS = 1e-5, 3.0, 12
GRID = [LOWEST * (HIGHEST / LOWEST) ** (i / (POINTS - 1)) for i in range(POINTS)]
DEVELOPMENT_SEED, HELD_OUT_SEED = 10, 30
STORE = Path(tempfile.gettempdir()) / "auditor-learning-rate"
Finder = Callable[[Setup, int], tuple[float, int]]


class Cell:
    """What is known of one set-up and seed, kept in a file.

    Attributes:
        found: Finder to what it suggested: rate, steps, CPU seconds.
    """

    def __init__(self, setup: Setup, seed: int, folder: Path) -> None:
        self.setup, self.seed = setup, seed
        self.name = f"{setup.name}/{seed}"
        self._file = folder / f"{setup.name}-{seed}.json"
        kept = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        self._start: float | None = kept.get("start")
        self._losses: dict[str, float] = kept.get("losses", {})
        self.found: dict[str, dict[str, float]] = kept.get("found", {})

    def loss(self, lr: float) -> float:
        """Return the loss after training at a rate, trained now unless it is known."""
        if not math.isfinite(lr) or lr <= 0:
            return math.inf
        if repr(lr) not in self._losses:
            self._start, self._losses[repr(lr)] = final_loss(self.setup, lr, self.seed)
            self.save()
        return self._losses[repr(lr)]

    @property
    def best(self) -> float:
        """The lowest loss of the grid."""
        return min(map(self.loss, GRID))

    def regret(self, name: str) -> float:
        """Return the normalised regret of one suggestion, at most 1; a divergence counts as 1."""
        best, loss = self.best, self.loss(self.found[name]["lr"])
        assert self._start is not None
        return (min(loss, self._start) - best) / (self._start - best)

    def ask(self, name: str, find: Finder) -> None:
        """Let a finder suggest a rate, and train at it."""
        begin = time.process_time()
        lr, steps = find(self.setup, self.seed)
        self.found[name] = {"lr": lr, "steps": steps, "seconds": time.process_time() - begin}
        self.loss(lr)
        self.save()

    def save(self) -> None:
        """Write the file."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        kept = {"start": self._start, "losses": self._losses, "found": self.found}
        self._file.write_text(json.dumps(kept, indent=1), encoding="utf-8")


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


def ours(setup: Setup, seed: int, *, plan: str) -> tuple[float, int]:
    """Return the rate that the probe suggests and all the steps that it takes."""
    most: int = getattr(import_module("auditor.probes._rate_plan"), plan)
    probe: Any = import_module("auditor.probes.learning_rate").LearningRate
    note = noted(setup, seed, probe(steps=most))
    suggested = note.observation().value("suggested_lr")
    assert isinstance(suggested, float)
    return suggested, note.steps


def noted(setup: Setup, seed: int, probe: Probe) -> Notebook:
    """Return what a probe notes of a set-up whose rate is 1e-3."""
    target = setup.target(user_lr=1e-3)
    note = Notebook(probe.name, probe.yields)
    store = BatchStore(target, seed)
    probe.run(ProbeContext(target=target, batches=store, note=note, seed=seed))
    store.close()
    return note


def finders() -> dict[str, Finder]:
    """Return the range tests to compare, by name."""
    found: dict[str, Finder] = {
        "auditor": partial(ours, plan="STANDARD"), "auditor, quick": partial(ours, plan="QUICK"),
    }
    if find_spec("torch_lr_finder"):
        found["torch-lr-finder"] = torch_lr_finder
    if find_spec("lightning"):
        found["lightning"] = lightning_finder
    return found


def table(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield the lines of the result."""
    names = list(finders())
    yield f"{'set-up / seed':24s}" + "".join(f"{name:>22s}" for name in names)
    for cell in cells:
        values = [f"{cell.found[n]['lr']:.2e} {cell.regret(n):8.4f}" for n in names]
        yield f"{cell.name:24s}" + "".join(f"{value:>22s}" for value in values)
    yield ""
    yield f"{'regret':24s}" + "".join(f"{title:>12s}" for title in (
        "median", "mean", "worst", "over 5 %", "steps", "most steps", "CPU s"))
    for name in names:
        regrets = [cell.regret(name) for cell in cells]
        steps, seconds = ([cell.found[name][what] for cell in cells]
                          for what in ("steps", "seconds"))
        yield (f"{name:24s}{statistics.median(regrets):12.4f}{statistics.fmean(regrets):12.4f}"
               f"{max(regrets):12.4f}{sum(r > 0.05 for r in regrets) / len(regrets):12.0%}"
               f"{statistics.fmean(steps):12.0f}{max(steps):12.0f}{statistics.fmean(seconds):12.2f}")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--setups", nargs="*", help="names; all of them by default")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--store", type=Path, default=STORE, help="folder of what was measured")
    parser.add_argument("--again", action="store_true", help="ask all finders anew")
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--development", action="store_const", dest="others", const=(
        DEVELOPMENT | MORE, DEVELOPMENT_SEED), help="the set-ups not judged")
    others.add_argument("--held-out", action="store_const", dest="others", const=(
        HELD_OUT, HELD_OUT_SEED), help="the set-ups that nothing was chosen on")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    setups, first = chosen.others or (SETUPS, 0)
    cells = [Cell(setups[name], seed, chosen.store) for name in chosen.setups or setups
             for seed in range(first, first + chosen.seeds)]
    for cell in cells:
        for name, find in finders().items():
            if chosen.again or name not in cell.found:
                cell.ask(name, find)
        print(f"{cell.name}: best loss of the grid {cell.best:.4g}", flush=True)
    print("\n" + "\n".join(table(cells)))


if __name__ == "__main__":
    main()
