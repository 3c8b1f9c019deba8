"""Two widely used range tests, as their packages run them, 100 iterations each."""

from __future__ import annotations

import logging
import math
import warnings
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from typing import Any

from torch import nn

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
    import lightning

    tuner_class = import_module("lightning.pytorch.tuner").Tuner
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with seeded(seed), warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        trainer = lightning.Trainer(
            max_steps=ITERATIONS, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )
        found = tuner_class(trainer).lr_find(
            _module(setup), train_dataloaders=setup.loader(seed), min_lr=LOWEST, max_lr=HIGHEST,
            num_training=ITERATIONS,
        )
    suggestion = found.suggestion() if found is not None else None
    steps = len(found.results["lr"]) if found is not None else 0
    return (math.nan if suggestion is None else float(suggestion)), steps


def _module(setup: Setup) -> Any:
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.lr = LOWEST
            self.inner: nn.Module = setup.make_model()

        def training_step(self, batch: Any, _: int) -> Any:
            return setup.loss(self.inner(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return setup.make_optimizer(self.inner, self.lr)

    return Module()
