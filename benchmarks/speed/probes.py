"""What each probe of an audit costs, in units of plain training steps of the same model."""

from __future__ import annotations

import statistics
import time

from auditor import audit
from auditor.isolation import seeded
from auditor.progress import Progress
from auditor.report import Report
from auditor.trial import Bench

from .models import target
from .timing import clock


class _Times:
    """Notes the clock at each message of the audit: what lies between belongs to one probe."""

    def __init__(self, device: str) -> None:
        self._now = clock(device)
        self._doing = ""
        self._since = self._now()
        self.seconds: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        now = self._now()
        self.seconds[self._doing] = self.seconds.get(self._doing, 0.0) + now - self._since
        self._doing, self._since = progress.doing, now


def step_seconds(name: str, device: str) -> float:
    """Return the median time of a plain step, as an audit takes it."""
    audited, now, times = target(name, device=device), clock(device), []
    batches = [batch for batch, _ in zip(audited.make_train_loader(), range(8), strict=False)]
    with seeded(0):
        bench = Bench(audited)
        for batch in batches:
            moved = [part.to(device) for part in batch]
            begin = now()
            bench.step(moved)
            times.append(now() - begin)
    return statistics.median(times[2:])


def table(names: list[str], *, seconds: float, device: str) -> str:
    """Audit each model once, without trials of fixes, and return a Markdown table."""
    lines = ["| model | probe | plain steps | s |", "|---|---|---|---|"]
    for name in names:
        step = step_seconds(name, device)
        times, begin = _Times(device), time.monotonic()
        report = audit(target(name, device=device), budget_seconds=seconds / len(names),
                       trials=False, on_progress=times)
        times(Progress("", "", 0, 0, 0.0))
        lines += [f"| {name} | {probe} | {spent / step:.1f} | {spent:.2f} |"
                  for probe, spent in times.seconds.items() if probe and spent > step]
        lines.append(f"| {name} | **all**, {report.verdict} | "
                     f"{sum(times.seconds.values()) / step:.0f} | "
                     f"{sum(times.seconds.values()):.1f} ({_share(report)} in training steps, "
                     f"wall time {time.monotonic() - begin:.0f} s) |")
    return "\n".join(lines)


def _share(report: Report) -> str:
    spent, whole = report.environment["training_seconds"], report.environment["seconds"]
    assert isinstance(spent, (int, float)) and isinstance(whole, (int, float))
    return f"{100 * spent / max(whole, 1e-9):.0f} %"
