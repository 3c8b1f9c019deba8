"""Files of a user for tests, written in a few words, and short trainings of what they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from auditor.isolation import seeded
from auditor.store import BatchStore
from auditor.target import Target
from auditor.trial import Bench

HEAD = """
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()
"""
DATA = HEAD + "train_loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)\n"
LOSS = "loss_fn = nn.CrossEntropyLoss()\n"
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
    def forward(self, x):
        return self.fc(x)
"""
WHOLE = DATA + LOSS + NET

Write = Callable[..., str]


def writer(folder: Path) -> Write:
    """Return a function that writes a file of the user's and returns its path."""
    def writing(source: str, name: str = "model.py") -> str:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source), encoding="utf-8")
        return str(file)

    return writing


def steps(target: Target, count: int = 3) -> list[float]:
    """Train a fresh copy for some steps."""
    store = BatchStore(target)
    with target.surroundings(), seeded(0):
        bench = Bench(target)
        losses = [bench.step(batch) for batch in store.cycled(count)]
    store.close()
    return losses
