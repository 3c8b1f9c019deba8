"""Two widely used range tests, as their packages run them, and a search for a batch size."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from importlib import import_module
from io import StringIO
from tempfile import gettempdir
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from auditor.isolation import seeded
from benchmarks.learning_rate_setups import Setup

ITERATIONS = 100
LOWEST, HIGHEST = 1e-7, 10.0


def torch_lr_finder(setup: Setup, seed: int) -> tuple[float, int]:
    """Return the steepest point that torch-lr-finder suggests, and its iterations."""
    finder_class = import_module("torch_lr_finder").LRFinder
    quiet = StringIO()
    with seeded(seed), warnings.catch_warnings(), redirect_stderr(quiet), redirect_stdout(quiet):
        warnings.simplefilter("ignore")
        model = setup.make_model()
        finder = finder_class(model, setup.make_optimizer(model, LOWEST), setup.loss, device="cpu")
        finder.range_test(setup.loader(seed), end_lr=HIGHEST, num_iter=ITERATIONS)
        rates, losses = finder.history["lr"], finder.history["loss"]
    # Its own suggestion: the steepest descent after ten points, without the last five.
    kept = list(zip(rates, losses, strict=True))[10:-5]
    slopes = [after[1] - before[1] for before, after in zip(kept, kept[1:], strict=False)]
    if not slopes:
        return math.nan, len(rates)
    return float(kept[slopes.index(min(slopes))][0]), len(rates)


def lightning_finder(setup: Setup, seed: int) -> tuple[float, int]:
    """Return the suggestion of Lightning's `lr_find`, and its iterations."""
    with seeded(seed), _quiet():
        found = _tuner().lr_find(
            _module(setup), train_dataloaders=setup.loader(seed), min_lr=LOWEST, max_lr=HIGHEST,
            num_training=ITERATIONS,
        )
    suggestion = found.suggestion() if found is not None else None
    steps = len(found.results["lr"]) if found is not None else 0
    return (math.nan if suggestion is None else float(suggestion)), steps


def lightning_batch_size(setup: Setup, seed: int) -> tuple[float, int]:
    """Return the batch size of Lightning's `scale_batch_size`, and the steps that it took."""
    with seeded(seed), _quiet():
        module = _module(setup)
        size = _tuner().scale_batch_size(module)
    return (math.nan if size is None else float(size)), module.steps


def _tuner() -> Any:
    import lightning

    return import_module("lightning.pytorch.tuner").Tuner(lightning.Trainer(
        max_steps=ITERATIONS, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
        # Where its searches keep the state that they return to.
        default_root_dir=gettempdir(),
    ))


@contextmanager
def _quiet() -> Iterator[None]:
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        yield


def _module(setup: Setup) -> Any:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.lr = LOWEST
            self.batch_size = setup.batch_size
            self.steps = 0
            self.inner: nn.Module = setup.make_model()

        def train_dataloader(self) -> DataLoader[Any]:
            return replace(setup, batch_size=self.batch_size).loader(0)

        def training_step(self, batch: Any, _: int) -> Any:
            self.steps += 1
            return setup.loss(self.inner(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return setup.make_optimizer(self.inner, self.lr)

    return Module()
