"""Peak memory and CPU time of programs, each in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_MIB = 1 << 20
# The first optimizer step imports torch's compiler, which is none of the model's memory.
_PREPARED = """
import sys
import torch
torch.set_num_threads(1)
layer = torch.nn.Linear(2, 2)
optimizer = torch.optim.Adam(layer.parameters())
layer(torch.ones(2, 2)).sum().backward()
optimizer.step()
import auditor
from auditor import registry
from auditor.session import Session
from benchmarks.speed.models import target
registry.probes(), registry.rules(())
audited = target({name!r})
def of(key):
    for line in open("/proc/self/status"):
        if line.startswith(key):
            return int(line.split()[1]) * 1024
open("/proc/self/clear_refs", "w").write("5")
base = of("VmRSS")
"""
_STEPS = 60
_PLAIN = """
torch.manual_seed(0)
model = audited.make_model()
optimizer = audited.make_optimizer(model)
for step in range({steps}):
    if step % len(loader := audited.make_train_loader()) == 0:
        batches = iter(loader)
    optimizer.zero_grad()
    loss = audited.compute(model, next(batches)).loss
    loss.backward()
    optimizer.step()
"""
_AUDIT = """
auditor.audit(audited, budget_seconds={seconds}, trials=False)
"""
_TELL = """
print("peak", of("VmHWM") - base)
"""


def memory_table(names: list[str], *, seconds: float, device: str) -> str:
    """Return the peak of an audit over that of plain training, above all imports.

    Plain training is a few dozen steps: the C library's heap grows during the first ones.
    """
    if device != "cpu":
        return "Peak memory is measured on the CPU only."
    lines = ["| model | plain training, MiB | audit, MiB | ratio |", "|---|---|---|---|"]
    for name in names:
        share = seconds / len(names)
        plain = _peak(_PLAIN.format(steps=_STEPS), name, share)
        whole = _peak(_AUDIT.format(seconds=share), name, share)
        lines.append(f"| {name} | {plain / _MIB:.0f} | {whole / _MIB:.0f} | {whole / plain:.2f} |")
    return "\n".join(lines)


def start_table(_: list[str], *, seconds: float, device: str) -> str:
    """Return the CPU time of commands that measure nothing; the smallest of three."""
    del seconds, device
    lines = ["| command | CPU s |", "|---|---|"]
    for words in (["--help"], ["explain", "dying-relu"], ["rules"]):
        times = [_cpu([sys.executable, "-m", "auditor", *words]) for _ in range(3)]
        lines.append(f"| `audit {' '.join(words)}` | {min(times):.3f} |")
    return "\n".join(lines)


def _peak(program: str, name: str, seconds: float) -> int:
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PREPARED.format(name=name) + program + _TELL],
        capture_output=True, text=True, check=True, cwd=_ROOT, timeout=60 + 10 * seconds)
    return int(found.stdout.split("peak ")[1])


def _cpu(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True, cwd=_ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
