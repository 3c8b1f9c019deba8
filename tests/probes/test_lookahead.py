"""The probe `lookahead`: whether predictions of the next token see that token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.observation import Observation
from auditor.target import WithTrainingStep

WORDS, LENGTH = 30, 12
NO_NEXT = "no loss compares predictions with the next token of a sequence"
_GENERATOR = torch.Generator().manual_seed(0)
TOKENS = torch.randint(1, WORDS, (48, LENGTH + 1), generator=_GENERATOR)


class Mixed(nn.Module):
    """Words, what mixes their positions, and a head."""

    def __init__(self, mix: nn.Module) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 16)
        self.mix = mix
        self.head = nn.LazyLinear(WORDS)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.mix(self.words(x))
        out: Tensor = self.head(mixed[0] if isinstance(mixed, tuple) else mixed)
        return out


class Attention(nn.Module):
    def __init__(self, *, causal: bool, start: float = 1.0) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.gate = nn.Parameter(torch.full((1,), start))
        self.causal = causal

    def forward(self, h: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(h.shape[1])
        mixed: Tensor = self.layer(h, mask if self.causal else None)
        return h + self.gate * mixed


class Convolution(nn.Module):
    def __init__(self, left: int, right: int) -> None:
        super().__init__()
        self.conv, self.pad = nn.Conv1d(16, 16, 3), (left, right)

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.conv(F.pad(h.transpose(1, 2), self.pad)).transpose(1, 2)
        return out


class Autoencoder(nn.Module):
    """Hands the last state of one GRU, or a latent vector made of it, to another one."""

    def __init__(self, *, latent: bool) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(WORDS, 16), nn.Linear(16, WORDS)
        self.encoder, self.decoder = (nn.GRU(16, 16, batch_first=True) for _ in range(2))
        self.latent = nn.Linear(16, 16) if latent else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.words(x)
        _, state = self.encoder(h)
        if self.latent is not None:
            h, state = h + self.latent(state[0]).unsqueeze(1), None
        out: Tensor = self.head(self.decoder(h, state)[0])
        return out


class Copier(nn.Module):
    """An encoder and a decoder of the same sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(WORDS, 16), nn.Linear(16, WORDS)
        self.both = nn.Transformer(16, 2, 1, 1, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        h = self.words(x)
        out: Tensor = self.head(self.both(h, h.clone(), tgt_mask=mask))
        return out


def flat(out: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(out.flatten(0, 1), y.flatten())


def asked(make: Callable[[], nn.Module], x: Tensor = TOKENS[:, :-1], y: Tensor = TOKENS[:, 1:],
          loss: Any = flat) -> Observation:
    step = WithTrainingStep(lambda model, batch: loss(model(batch[0]), batch[1]))
    return observe("lookahead", target(make, x, y, compute=step, batch_size=16))


def mixed(mix: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        model = Mixed(mix())
        model(TOKENS[:2, :-1])
        return model
    return make


@pytest.mark.parametrize("mix", [
    lambda: Attention(causal=False), lambda: Attention(causal=False, start=0.0),
    lambda: nn.LSTM(16, 16, batch_first=True, bidirectional=True), lambda: Convolution(1, 1),
], ids=["attention", "a gate that opens with the first step", "bidirectional", "padded alike"])
def test_predictions_that_see_their_answer_change_with_it(mix: Callable[[], nn.Module]) -> None:
    found = asked(mixed(mix))

    assert found.value("seen_answers") == 1.0
    assert found.value("asked_predictions") == 16


@pytest.mark.parametrize("mix", [
    lambda: Attention(causal=True), lambda: nn.LSTM(16, 16, batch_first=True),
    lambda: Convolution(2, 0), nn.Identity,
], ids=["attention", "LSTM", "padded on the left", "bigrams"])
def test_predictions_that_see_the_past_do_not(mix: Callable[[], nn.Module]) -> None:
    assert asked(mixed(mix)).value("seen_answers") == 0.0


@pytest.mark.parametrize(("shift", "length", "seen"), [(1, LENGTH, 1.0), (0, LENGTH, None)])
def test_a_model_that_shifts_its_labels_itself_is_asked_and_one_that_guesses_its_input_is_not(
    shift: int, length: int, seen: float | None,
) -> None:
    def loss(out: Tensor, y: Tensor) -> Tensor:
        return flat(out[:, :length - shift], y[:, shift:])

    x = TOKENS[:, :-1]
    found = asked(mixed(lambda: Attention(causal=False)), x, x, loss)

    if seen is None:
        assert found.reason == NO_NEXT
    else:
        assert found.value("seen_answers") == seen


@pytest.mark.parametrize("causal", [True, False])
def test_the_first_dimension_may_be_the_time(causal: bool) -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        x, y = (part.t() for part in batch)
        return F.cross_entropy(model(x.t()).transpose(0, 1).flatten(0, 1), y.reshape(-1))

    audited = target(mixed(lambda: Attention(causal=causal)), TOKENS[:, :-1], TOKENS[:, 1:],
                     compute=WithTrainingStep(step), batch_size=16)

    # The sequences still lie side by side in the batch; the loss has them in the order of time.
    assert observe("lookahead", audited).reason == NO_NEXT

    turned = target(mixed(lambda: Attention(causal=causal)), TOKENS[:, :-1], TOKENS[:, 1:],
                    compute=WithTrainingStep(lambda model, batch: step(
                        model, [part.t() for part in batch])), batch_size=16,
                    make_train_loader=lambda: [(TOKENS[:16, :-1].t(), TOKENS[:16, 1:].t())])

    assert observe("lookahead", turned).value("seen_answers") == float(not causal)


@pytest.mark.parametrize("make", [
    lambda: Autoencoder(latent=False), lambda: Autoencoder(latent=True), Copier,
], ids=["last state", "latent vector", "encoder and decoder"])
def test_autoencoders_of_texts_may_see_all_of_them(make: Callable[[], nn.Module]) -> None:
    assert "more than one way" in asked(make).reason


def test_hidden_words_are_no_next_words() -> None:
    hidden = torch.rand(TOKENS.shape, generator=_GENERATOR) < 0.3
    y = TOKENS.masked_fill(~hidden, -100)

    found = asked(mixed(lambda: Attention(causal=False)), TOKENS.masked_fill(hidden, 0), y)

    assert found.reason == NO_NEXT


def test_sequences_of_one_word_each_tell_nothing() -> None:
    same = TOKENS[:, :1].expand(-1, LENGTH + 1)

    found = asked(mixed(lambda: Attention(causal=False)), same[:, :-1], same[:, 1:])

    assert found.reason == NO_NEXT
