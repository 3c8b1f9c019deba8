"""How the recorder's cost grows with depth, width, batch and parameters; a table and a plot."""

from __future__ import annotations

import gc
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.isolation import eagerly
from auditor.steprecorder import StepRecorder

from .timing import clock

PLOT = Path(__file__).parents[2] / "docs" / "scale.svg"
# Recorded steps; the first ones are watched more closely, to learn where things lie.
_STEPS, _LEARNING = 9, 3


@dataclass(frozen=True)
class Size:
    """A chain of equal linear layers with ReLU between them."""

    depth: int
    width: int
    batch: int

    @property
    def parameters(self) -> int:
        """Elements of all weights and biases."""
        return self.depth * self.width * (self.width + 1)


# Along each line one thing grows and the others stay.
LINES: dict[str, list[Size]] = {
    "depth": [Size(depth, 64, 64) for depth in (20, 63, 200, 632, 2000)],
    "width": [Size(4, width, 64) for width in (128, 362, 1024, 2896)],
    "batch": [Size(4, 512, batch) for batch in (16, 64, 256, 1024, 4096)],
    "parameters": [Size(3, width, 8) for width in (577, 1826, 5773, 10_000)],
}
_MEASURE = {"depth": lambda s: s.depth, "width": lambda s: s.width, "batch": lambda s: s.batch,
            "parameters": lambda s: s.parameters}


class Chain(nn.Module):
    """Linear layers, each but the last followed by a functional ReLU."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(size.width, size.width) for _ in range(size.depth))
        # With torch's own initialisation nothing of the input would reach the end of a deep chain.
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = F.relu(layer(x))
        return x


def measure(size: Size, device: str) -> tuple[float, float]:
    """Return the seconds of a plain step and what recording adds, medians over some steps."""
    torch.manual_seed(0)
    model = Chain(size).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    x = torch.randn(size.batch, size.width, device=device)
    recorder, now = StepRecorder(model), clock(device)
    plain, added = [], []
    with eagerly():
        for step in range(2 * _STEPS + 2):
            begin = now()
            if step % 2:
                optimizer.zero_grad()
                model(x).square().mean().backward()
                optimizer.step()
                plain.append(now() - begin)
                continue
            optimizer.zero_grad()
            with recorder.forward(size.batch):
                loss = model(x).square().mean()
            recorder.after_forward(loss)
            loss.backward()  # type: ignore[no-untyped-call]
            recorder.before_update()
            optimizer.step()
            recorder.after_update()
            added.append(now() - begin)
    del model, optimizer, recorder
    gc.collect()
    step_seconds = statistics.median(plain[1:])
    return step_seconds, max(
        statistics.median(added[_LEARNING:]) - step_seconds, 0.0)


def table(_: list[str], *, seconds: float, device: str) -> str:
    """Measure all lines and return a Markdown table; the plot is written beside the docs."""
    del seconds
    rows = ["| grows | depth | width | batch | parameters | plain step, ms | recorder adds, ms "
            "| ratio |", "|---|---|---|---|---|---|---|---|"]
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, sizes in LINES.items():
        for size in sizes:
            plain, added = measure(size, device)
            curves.setdefault(name, []).append((_MEASURE[name](size), plain + added))
            rows.append(f"| {name} | {size.depth} | {size.width} | {size.batch} | "
                        f"{size.parameters:,} | {1e3 * plain:.2f} | {1e3 * added:.2f} | "
                        f"{1 + added / plain:.3f} |")
    slopes = ", ".join(f"{name} {_slope(points):.2f}" for name, points in curves.items())
    if device == "cpu":
        PLOT.parent.mkdir(exist_ok=True)
        PLOT.write_text(drawn(curves), encoding="utf-8")
    return "\n".join([*rows, "", f"Exponent of a recorded step's time: {slopes}."])


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the exponent between the first and the last point of a curve."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    return math.log(y1 / y0) / math.log(x1 / x0)


def drawn(curves: dict[str, list[tuple[float, float]]]) -> str:
    """Return an SVG with time against growth, both relative to the first point, as logarithms."""
    colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
    span = max(points[-1][0] / points[0][0] for points in curves.values())
    size, left, top = 320, 60, 20

    def place(x: float, y: float) -> tuple[float, float]:
        return (left + size * math.log(max(x, 1.0)) / math.log(span),
                top + size - size * math.log(max(y, 1.0)) / math.log(span))

    (x0, y0), (x1, y1) = place(1, 1), place(span, span)
    parts = [f'<line x1="{x0:.0f}" y1="{y0:.0f}" x2="{x1:.0f}" y2="{y1:.0f}" stroke="#999" '
             'stroke-dasharray="4"/>',
             f'<text x="{x1 - 60:.0f}" y="{y1 + 34:.0f}" fill="#666">linear</text>']
    for row, (name, points) in enumerate(curves.items()):
        spots = [place(x / points[0][0], y / points[0][1]) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colours[row]}" '
                     'stroke-width="2"/>')
        parts.append(f'<text x="{left + 12}" y="{top + 18 + 17 * row}" fill="{colours[row]}">'
                     f'{name}, 1 to {points[-1][0] / points[0][0]:,.0f} times</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + size + 20} '
            f'{top + size + 50}" font-family="sans-serif" font-size="13">'
            f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" '
            f'stroke="#333"/>{"".join(parts)}'
            f'<text x="{left}" y="{top + size + 30}">growth of the size (logarithm), '
            f'to {span:,.0f} times</text><text x="20" y="{top + size}" '
            f'transform="rotate(-90 20 {top + size})">time of a recorded step (logarithm)</text>'
            '</svg>\n')
