"""What a whole audit of a LeNet on MNIST costs, healthy and sick, beyond all imports."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from statistics import median

from auditor import audit

_ZOO = Path(__file__).resolve().parents[2] / "tests" / "zoo" / "lenet_zero"
_TIMES = 3


def table(names: list[str], *, seconds: float, device: str) -> str:
    """Audit each file three times and return a Markdown table; the files are always the same."""
    from ..accuracy import warm  # noqa: F401 (imports are not what is measured)

    lines = ["| audit | CPU s, each | CPU s, median | wall s, median | in training steps |",
             "|---|---|---|---|---|"]
    for said, file in (("healthy", "healthy.py"), ("sick, with trials of fixes", "constant.py")):
        runs = [_measured(_ZOO / file, device) for _ in range(_TIMES)]
        cpu, wall, share = zip(*runs, strict=True)
        each = ", ".join(f"{value:.1f}" for value in cpu)
        lines.append(f"| LeNet, {said} | {each} | {median(cpu):.1f} | {median(wall):.1f} | "
                     f"{median(share):.0%} |")
    return "\n".join(lines)


def _measured(file: Path, device: str) -> tuple[float, float, float]:
    """Return CPU time with that of copies, wall time, and the share of training steps."""
    begin, used = time.perf_counter(), _used()
    environment = audit(str(file), device=device).environment
    whole, training = environment["seconds"], environment["training_seconds"]
    assert isinstance(whole, float) and isinstance(training, float)
    return _used() - used, time.perf_counter() - begin, training / whole


def _used() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)
