"""What the searches for a learning rate and a batch size cost beside those of other packages."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec

from auditor.probes.batch_size import BatchSize

from ..learning_rate import finders, noted
from ..learning_rate_peers import lightning_batch_size
from ..learning_rate_setups import Setup, adam
from .models import SETTINGS, cross_entropy
from .probes import step_seconds

# Of 100 iterations of a peer, slower steps would take minutes.
_SLOWEST = 0.5
_BATCHES = 64
_PEERS = ("torch_lr_finder", "lightning.pytorch.tuner")


def table(names: list[str], *, seconds: float, device: str) -> str:
    """Run each search once on each model and return a Markdown table."""
    del seconds
    if device != "cpu":
        return "The searches are compared on the CPU only."
    lines = ["| model | search | by | answer | training steps | CPU s | in plain steps |",
             "|---|---|---|---|---|---|---|"]
    for module in filter(_is_installed, _PEERS):
        # What it costs to import them is none of the searches.
        import_module(module)
    for name in names:
        step, setup = step_seconds(name, device), _setup(name)
        if step > _SLOWEST:
            lines.append(f"| {name} | left out: a step takes {step:.1f} s | | | | | |")
            continue
        for search, found in (("learning rate", finders()), ("batch size", _batch_sizes())):
            for by, find in found.items():
                begin = time.process_time()
                answer, steps = find(setup, 0)
                spent = time.process_time() - begin
                lines.append(f"| {name} | {search} | {by} | {answer:.3g} | {steps} | {spent:.2f} "
                             f"| {spent / step:.0f} |")
    return "\n".join([*lines, *(
        f"{module}: not installed" for module in _PEERS if not _is_installed(module))])


def _is_installed(module: str) -> bool:
    return find_spec(module.partition(".")[0]) is not None


def _setup(name: str) -> Setup:
    setting = SETTINGS[name]
    return Setup(name, partial(setting.make, True), partial(setting.data, _BATCHES), cross_entropy,
                 adam, setting.batch)


def _batch_sizes() -> dict[str, Callable[[Setup, int], tuple[float, int]]]:
    """Return the searches for a batch size, by name.

    Lightning's answer is the largest that runs; ours, where larger ones are faster, the fastest.
    """
    found: dict[str, Callable[[Setup, int], tuple[float, int]]] = {"auditor": _ours}
    if _is_installed("lightning"):
        found["lightning"] = lightning_batch_size
    return found


def _ours(setup: Setup, seed: int) -> tuple[float, int]:
    note = noted(setup, seed, BatchSize())
    answer = note.observation().value("fastest_batch")
    assert isinstance(answer, (int, float))
    return answer, note.steps
