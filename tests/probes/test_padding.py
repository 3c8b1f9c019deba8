"""The probe `padding`: what fills up target sequences, and whether it counts in the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.observation import Observation
from auditor.target import WithTrainingStep

_GENERATOR = torch.Generator().manual_seed(0)
TOKENS = torch.randint(1, 30, (64, 12), generator=_GENERATOR)
LENGTHS = torch.randint(3, 12, (64, 1), generator=_GENERATOR)
PADDED = TOKENS.masked_fill(torch.arange(12)[None] >= LENGTHS, 0)


class Tagger(nn.Module):
    def __init__(self, outputs: int = 30) -> None:
        super().__init__()
        self.embed = nn.Embedding(30, 8)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.out = nn.Linear(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.rnn(self.embed(x))[0]).transpose(1, 2)
        return out


def step_of(loss: Any) -> Any:
    return WithTrainingStep(lambda model, batch: loss(model(batch[0]), batch[1]))


def masked(out: Tensor, y: Tensor) -> Tensor:
    losses = F.cross_entropy(out, y, reduction="none")
    return losses[y != 0].mean()


def flat(out: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(out.transpose(1, 2).flatten(0, 1), y.flatten())


def test_padding_counts_by_its_part_of_the_gradient() -> None:
    audited = target(Tagger, PADDED, PADDED, batch_size=64, shuffle=False)
    torch.manual_seed(0)
    out = Tagger()(PADDED).detach().requires_grad_()
    F.cross_entropy(out, PADDED).backward()  # type: ignore[no-untyped-call]
    assert out.grad is not None
    norms = out.grad.norm(dim=1)

    observation = observe("padding", audited)

    expected = float(norms[PADDED == 0].sum() / norms.sum())
    assert observation.value("padding_gradient") == pytest.approx(expected, rel=1e-4)
    assert observation.value("padding_share") == pytest.approx(float((PADDED == 0).float().mean()))
    assert observation.value("padding_value") == 0


def test_padding_in_flattened_targets_is_seen() -> None:
    observation = observe("padding", target(Tagger, PADDED, PADDED, compute=step_of(flat)))

    assert float(observation.value("padding_gradient") or 0) > 0.2


@pytest.mark.parametrize("changes", [
    {"loss_fn": nn.CrossEntropyLoss(ignore_index=0)}, {"compute": step_of(masked)},
    {"loss_fn": nn.CrossEntropyLoss(weight=torch.tensor([0.0] + [1.0] * 29))},
])
def test_padding_that_is_left_out_has_no_gradient(changes: dict[str, Any]) -> None:
    observation = observe("padding", target(Tagger, PADDED, PADDED, **changes))

    assert observation.value("padding_gradient") == 0


@pytest.mark.parametrize("y", [
    TOKENS,
    (TOKENS > 15).long(),
    (TOKENS > 15).long().masked_fill(torch.arange(12) > 7, 0),
    (torch.arange(12)[None] >= LENGTHS).long(),
    TOKENS.sort(dim=1).values,
])
def test_sequences_without_padding_are_not_judged(y: Tensor) -> None:
    assert observe("padding", target(Tagger, TOKENS, y)).status == "not-applicable"


@dataclass
class Pair:
    """A batch that does not name its targets."""

    source: Tensor
    before: Tensor
    after: Tensor


def observed_pairs(ignored: int) -> Observation:
    """Observe sequences whose targets stand in a field of a dataclass, behind other sequences."""
    before = torch.cat([torch.full((64, 1), 29), PADDED[:, :-1]], dim=1)
    pairs = [Pair(TOKENS[i:i + 32, :5], before[i:i + 32], PADDED[i:i + 32]) for i in (0, 32)]

    def step(model: nn.Module, batch: Pair) -> Tensor:
        return F.cross_entropy(model(batch.before), batch.after, ignore_index=ignored)

    return observe("padding", target(
        Tagger, PADDED, PADDED, compute=WithTrainingStep(step), make_train_loader=lambda: pairs))


def test_padding_is_found_in_batches_that_do_not_name_their_targets() -> None:
    found = observed_pairs(-100)

    assert found.value("padding_share") == pytest.approx(
        float((PADDED == 0).float().mean()), abs=0.05)
    assert float(found.value("padding_gradient") or 0) > 0.2
    assert observed_pairs(0).value("padding_gradient") == 0


def test_padded_sources_do_not_hide_padded_targets() -> None:
    pairs = [Pair(PADDED[i:i + 32, :9], PADDED[i:i + 32], PADDED[i:i + 32]) for i in (0, 32)]

    def step(model: nn.Module, batch: Pair) -> Tensor:
        return F.cross_entropy(model(batch.before[:, :-1]), batch.after[:, 1:])

    found = observe("padding", target(
        Tagger, PADDED, PADDED, compute=WithTrainingStep(step), make_train_loader=lambda: pairs))

    assert float(found.value("padding_gradient") or 0) > 0.2


def test_tags_that_end_in_a_class_are_no_padding_where_the_inputs_go_on() -> None:
    tags = (torch.arange(12)[None] >= LENGTHS).long()
    pairs = [Pair(TOKENS[i:i + 32], TOKENS[i:i + 32], tags[i:i + 32]) for i in (0, 32)]

    def step(model: nn.Module, batch: Pair) -> Tensor:
        return F.cross_entropy(model(batch.before), batch.after)

    found = observe("padding", target(
        Tagger, PADDED, PADDED, compute=WithTrainingStep(step), make_train_loader=lambda: pairs))

    assert found.status == "not-applicable"


def test_labels_that_are_filled_up_with_a_class_are_told_by_their_inputs() -> None:
    tags = PADDED % 4
    filled = PADDED == 0
    torch.manual_seed(0)
    out = Tagger(4)(PADDED).detach().requires_grad_()
    F.cross_entropy(out, tags).backward()  # type: ignore[no-untyped-call]
    assert out.grad is not None
    norms = out.grad.norm(dim=1)

    observation = observe("padding", target(
        lambda: Tagger(4), PADDED, tags, batch_size=64, shuffle=False))

    assert observation.value("padding_share") == pytest.approx(float(filled.float().mean()))
    assert observation.value("padding_gradient") == pytest.approx(
        float(norms[filled].sum() / norms.sum()), rel=1e-4)
    assert observation.value("padding_means_more") is True


def test_a_token_that_fills_up_may_stand_elsewhere_now_and_then() -> None:
    tokens = PADDED.clone()
    tokens[::3, 1] = 0

    observation = observe("padding", target(Tagger, tokens, tokens))

    assert float(observation.value("padding_share") or 0) > 0.2
    assert observation.value("padding_means_more") is True


def test_a_class_that_ends_sequences_of_any_length_is_no_padding() -> None:
    observation = observe("padding", target(lambda: Tagger(4), TOKENS, PADDED % 4))

    assert observation.status == "not-applicable"


def test_padded_inputs_do_not_make_padded_targets() -> None:
    class Classifier(Tagger):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).mean(dim=2)

    observation = observe("padding", target(Classifier, PADDED, PADDED[:, 0] % 3))

    assert observation.status == "not-applicable"
