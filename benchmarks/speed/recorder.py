"""What it costs to record every step, and every tenth, beside what other recorders cost."""

from __future__ import annotations

from collections.abc import Callable

from auditor.isolation import eagerly
from auditor.steprecorder import StepRecorder

from . import peers
from .models import SETTINGS, Training
from .timing import PLAIN, Ratio, alone, interleaved

# Slower than so many plain steps it would leave no time for the others, and needs no turns.
_SLOW = 8.0
EVERY, TENTH = "recorder, every step", "recorder, every tenth step"


def measure(
    name: str, functional: bool, *, seconds: float, device: str,
) -> tuple[dict[str, Ratio], dict[str, str]]:
    """Return the ratios of one setting, and which peers fail on it.

    Peers are measured beside module activations only.
    """
    variants: dict[str, Callable[[], None]] = {
        PLAIN: Training(name, functional=functional, device=device).step,
        EVERY: _recorded(Training(name, functional=functional, device=device), every=1),
        TENTH: _recorded(Training(name, functional=functional, device=device), every=10),
    }
    faults: dict[str, str] = {}
    steps: dict[str, Callable[[], None]] = {}
    if not functional:
        steps, faults = peers.started(lambda: Training(name, functional=False, device=device))
        variants |= steps
    with eagerly():
        found = {peer: alone(variants[peer], variants[PLAIN], device=device) for peer in steps}
        slow = {peer: ratio for peer, ratio in found.items() if ratio.median > _SLOW}
        taking_turns = {name: step for name, step in variants.items() if name not in slow}
        return interleaved(taking_turns, seconds=seconds, device=device) | slow, faults


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
    said = [f"{peer}: {why}" for peer, why in peers.missing().items()]
    share = seconds / (2 * len(names))
    for name in names:
        assert name in SETTINGS, name
        for functional in (True, False):
            kind = "functional" if functional else "modules"
            ratios, faults = measure(name, functional, seconds=share, device=device)
            lines += [f"| {name} | {kind} | {variant} | {ratio} | {ratio.milliseconds:.2f} "
                      f"| {ratio.rounds} |" for variant, ratio in ratios.items()]
            said += [f"{peer} fails on {name}: {why}" for peer, why in faults.items()]
    return "\n".join([*lines, *said])
