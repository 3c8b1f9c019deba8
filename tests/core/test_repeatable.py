"""What a seed does not repeat is said; what it repeats is not."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from builders import target
from torch import Tensor, nn

from auditor.repeatable import doubts
from auditor.store import BatchStore
from auditor.target import Target

X, Y = torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 2
ELSEWHERE = itertools.count()


class Drifting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) * next(ELSEWHERE)  # type: ignore[no-any-return]


def drifting_loader() -> Any:
    return [(X + next(ELSEWHERE), Y)]


def said(audited: Target) -> tuple[str, ...]:
    store = BatchStore(audited)
    store.train(1)
    return doubts(audited, store, 0, 0.0)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look twice, however slow the machine is."""
    monkeypatch.setattr("auditor.repeatable._SECONDS", 60.0)


def test_what_draws_from_the_global_generators_is_repeated() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))

    assert said(target(lambda: model, X, Y, batch_size=8)) == ()


@pytest.mark.parametrize(("changes", "words"), [
    ({"make_model": Drifting}, "another first loss"),
    ({"make_model": lambda: nn.Linear(4, 2), "make_train_loader": drifting_loader},
     "other batches"),
])
def test_what_draws_elsewhere_is_named(changes: dict[str, Any], words: str) -> None:
    make_model = changes.pop("make_model")

    (sentence,) = said(target(make_model, X, Y, batch_size=8, **changes))
    assert words in sentence
