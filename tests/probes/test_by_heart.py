"""Whether a handful of samples can be learned by heart, where that begins late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from builders import part_of_probes, target
from torch import Tensor, nn
from torch.nn import functional

from auditor.isolation import seeded
from auditor.probe import Notebook, ProbeContext
from auditor.store import BatchStore
from auditor.target import WithTrainingStep

by_heart = part_of_probes("_by_heart")
MASK, WORDS, LENGTH = 12, 13, 16


class Words(nn.Module):
    """Guesses words from those around them."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 32)
        self.places = nn.Parameter(torch.randn(LENGTH, 32) * 0.02)
        self.mix = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(32, WORDS)

    def forward(self, x: Tensor) -> Tensor:
        guessed: Tensor = self.head(self.mix(self.words(x) + self.places))
        return guessed


def masked_words(model: nn.Module, batch: Any) -> Tensor:
    (x, _) = batch
    hidden = torch.rand(x.shape) < 0.15
    return functional.cross_entropy(model(x.masked_fill(hidden, MASK))[hidden], x[hidden])


def answers_of_others(model: nn.Module, batch: Any) -> Tensor:
    (x, _) = batch
    hidden = torch.rand(x.shape) < 0.15
    words = x[hidden]
    return functional.cross_entropy(
        model(x.masked_fill(hidden, MASK))[hidden], words[torch.randperm(len(words))])


def learned(step: Callable[[nn.Module, Any], Tensor]) -> tuple[float, int]:
    """Return the share that is learned, and the steps that it took."""
    drawn = torch.Generator().manual_seed(0)
    x = torch.randint(MASK, (320, LENGTH), generator=drawn)
    audited = target(Words, x, torch.zeros(len(x)), compute=WithTrainingStep(step))
    store, note = BatchStore(audited, 0), Notebook("learning_rate", ())
    context = ProbeContext(target=audited, batches=store, note=note, seed=0)
    with seeded(0):
        (share,) = by_heart.learned_by_heart(context, [4e-3], store.train(10))
    store.close()
    return share, note.steps


def test_words_that_every_step_hides_anew_are_learned_after_the_best_constant() -> None:
    share, steps = learned(masked_words)

    assert share > by_heart.HARDLY_ANY
    assert steps > by_heart.BY_HEART


def test_a_run_that_stands_at_the_best_constant_is_over() -> None:
    share, steps = learned(answers_of_others)

    assert share < 0.01
    assert steps == by_heart.BY_HEART
