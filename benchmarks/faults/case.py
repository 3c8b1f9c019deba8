"""One fault, and the file that has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import dedent

BASE = """
import os, signal, sys, time
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

COUNT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "count")


def is_time(number):
    # Module values are put back between trials, a file is not.
    with open(COUNT, "a") as file:
        file.write(".")
    return os.path.getsize(COUNT) == number


torch.manual_seed(0)
x = torch.randn(256, 6)
y = (x[:, 0] > 0).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 16)
        self.fc2 = nn.Linear(16, 2)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


build_model = Net
train_loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
"""


@dataclass(frozen=True)
class Case:
    """A fault.

    Attributes:
        name: What happens, and where.
        body: Added to the healthy file.
        code: The exit code that is promised.
        says: Words that the user is told.
        keeps: Observations that the report holds at least; None where no report is promised.
        arguments: Further ones of `audit run`.
        shell: Put before the command, for limits.
        signal: Sent to the audit from outside; to the worker if negative.
        after: The line of progress at which it is sent.
        delay: After this line, in seconds.
    """

    name: str
    body: str
    code: int
    says: str
    keeps: int | None = None
    arguments: Sequence[str] = ()
    shell: str = ""
    signal: int = 0
    after: str = ""
    delay: float = 0.3

    @property
    def source(self) -> str:
        """The whole file."""
        return BASE + dedent(self.body)


def forward(body: str) -> str:
    """Return a model with this at the beginning of its forward pass."""
    return _in_method("Net", "forward", "x", body)


def loader(body: str, workers: int = 0) -> str:
    """Return a loader with this whenever it is asked for a sample of an index."""
    made = _in_method("TensorDataset", "__getitem__", "index", body, "Data")
    return (f"{made}\ntrain_loader = DataLoader(Data(x, y), batch_size=32, "
            f"num_workers={workers})\n")


def _in_method(base: str, method: str, argument: str, body: str, name: str = "Bad") -> str:
    lines = dedent(body).strip("\n").replace("\n", "\n        ")
    made = f"\nclass {name}({base}):\n    def {method}(self, {argument}):\n        {lines}\n"
    end = f"        return super().{method}({argument})\n"
    return made + end + ("build_model = Bad\n" if name == "Bad" else "")
