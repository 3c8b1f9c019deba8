"""What it costs to record every step, and every tenth, beside what other recorders cost."""

from __future__ import annotations

from collections.abc import Callable

from auditor.isolation import eagerly
from auditor.steprecorder import StepRecorder

from . import peers
from .models import SETTINGS, Training
from .timing import PLAIN, Ratio, interleaved

EVERY, TENTH = "recorder, every step", "recorder, every tenth step"


def measure(name: str, functional: bool, *, seconds: float, device: str) -> dict[str, Ratio]:
    """Return the ratios of one setting; peers are measured beside module activations only."""
    variants: dict[str, Callable[[], None]] = {
        PLAIN: Training(name, functional=functional, device=device).step,
        EVERY: _recorded(Training(name, functional=functional, device=device), every=1),
        TENTH: _recorded(Training(name, functional=functional, device=device), every=10),
    }
    if not functional:
        variants |= {peer: start(Training(name, functional=False, device=device))
                     for peer, start in peers.found().items()}
    with eagerly():
        return interleaved(variants, seconds=seconds, device=device)


def _recorded(training: Training, *, every: int) -> Callable[[], None]:
    recorder = StepRecorder(training.model)
    taken = 0

    def step() -> None:
        nonlocal taken
        taken += 1
        if taken % every:
            training.step()
            return
        training.optimizer.zero_grad()
        with recorder.forward(len(training.x)):
            loss = training.loss()
        recorder.after_forward(loss)
        loss.backward()  # type: ignore[no-untyped-call]
        recorder.before_update()
        training.optimizer.step()
        recorder.after_update()

    return step


def table(names: list[str], *, seconds: float, device: str) -> str:
    """Measure and return a Markdown table."""
    lines = ["| model | activations | variant | ratio to the plain step [95 %] | ms | rounds |",
             "|---|---|---|---|---|---|"]
    share = seconds / (2 * len(names))
    for name in names:
        assert name in SETTINGS, name
        for functional in (True, False):
            kind = "functional" if functional else "modules"
            for variant, ratio in measure(
                    name, functional, seconds=share, device=device).items():
                lines.append(f"| {name} | {kind} | {variant} | {ratio} | {ratio.milliseconds:.2f} "
                             f"| {ratio.rounds} |")
    return "\n".join([*lines, *(f"{peer}: {why}" for peer, why in peers.missing().items())])
