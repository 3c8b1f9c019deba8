"""Losses that are written by hand, behind a model that applies their activation already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.observation import Observation
from auditor.target import WithTrainingStep

CLASSES = 4
G = torch.Generator().manual_seed(0)
X = torch.randn(96, 6, generator=G)
Y = torch.randint(0, CLASSES, (96,), generator=G)


def net(*last: nn.Module, outputs: int = CLASSES) -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, outputs), *last)


def seen(loss: Callable[[Tensor, Tensor], Tensor], model: Callable[[], nn.Module],
         y: Tensor = Y) -> Observation:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return loss(model(batch[0]), batch[1])

    return observe("objective", target(model, X, y, compute=WithTrainingStep(step)))


def focal(out: Tensor, y: Tensor) -> Tensor:
    log_p = F.log_softmax(out, dim=1)[torch.arange(len(y)), y]
    return -((1 - log_p.exp()) ** 2 * log_p).mean()


def smoothed(out: Tensor, y: Tensor) -> Tensor:
    log_p = out.log_softmax(dim=-1)
    return -(0.9 * log_p.gather(1, y[:, None]).mean() + 0.1 * log_p.mean())


def of_logsumexp(out: Tensor, y: Tensor) -> Tensor:
    return (out.logsumexp(1) - out.gather(1, y[:, None])[:, 0]).mean()


def of_softmax(out: Tensor, y: Tensor) -> Tensor:
    return -torch.log(torch.softmax(out, 1)[torch.arange(len(y)), y] + 1e-8).mean()


def of_one_hot(out: Tensor, y: Tensor) -> Tensor:
    return -(F.one_hot(y, CLASSES) * F.log_softmax(out, 1)).sum(1).mean()


def of_logs(out: Tensor, y: Tensor) -> Tensor:
    return F.nll_loss(torch.log(F.softmax(out, dim=1)), y)


def of_distribution(out: Tensor, y: Tensor) -> Tensor:
    policy: Any = Categorical(logits=out)
    loss: Tensor = -policy.log_prob(y).mean()
    return loss


def with_a_last_class(out: Tensor, y: Tensor) -> Tensor:
    p = torch.cat([out, torch.zeros_like(out[:, :1])], dim=1).softmax(1)
    return -p.gather(1, y[:, None]).add(1e-7).log().mean()


class OwnLoss(nn.Module):
    def forward(self, out: Tensor, y: Tensor) -> Tensor:
        return -F.log_softmax(out, 1).gather(1, y[:, None]).mean()


LOSSES = [focal, smoothed, of_logsumexp, of_softmax, of_one_hot, of_logs, of_distribution,
          with_a_last_class, OwnLoss()]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_second_softmax_is_seen_however_it_is_written(loss: Any) -> None:
    found = seen(loss, lambda: net(nn.Softmax(dim=1)))

    assert found.value("activated_twice") == 1
    assert found.value("first_activation") == "softmax"


@pytest.mark.parametrize("loss", LOSSES)
def test_raw_scores_are_activated_once(loss: Any) -> None:
    assert not seen(loss, net).value("activated_twice")


def test_a_second_sigmoid_is_seen() -> None:
    def loss(out: Tensor, y: Tensor) -> Tensor:
        p = torch.sigmoid(out)
        return -(y * p.log() + (1 - y) * (1 - p).log()).mean()

    found = seen(loss, lambda: net(nn.Sigmoid(), outputs=1), (Y > 1).float()[:, None])

    assert found.value("activated_twice") == 1
    assert found.value("first_activation") == "sigmoid"


def test_what_is_only_shown_or_is_in_the_model_or_scaled_before_is_no_fault() -> None:
    def shows(out: Tensor, y: Tensor) -> Tensor:
        assert F.softmax(out, dim=1).max() <= 1
        return F.nll_loss(out.log(), y)

    class Routed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.experts = nn.Linear(6, 3), nn.Linear(6, 3 * CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            weights = torch.softmax(torch.softmax(self.gate(x), 1), 1)
            each: Tensor = self.experts(x).unflatten(1, (3, CLASSES))
            return (each * weights[..., None]).sum(1)

    def against_a_teacher(out: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = F.softmax(F.softmax(out, 1), 1)
        return -(wanted * F.log_softmax(out, 1)).sum(1).mean()

    for loss, model in ((shows, lambda: net(nn.Softmax(dim=1))), (of_one_hot, Routed),
                        (against_a_teacher, net)):
        assert not seen(loss, model).value("activated_twice")


def test_a_known_loss_beside_it_keeps_its_name() -> None:
    def both(out: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(out, F.one_hot(y, CLASSES).float()) + of_logsumexp(out, y)

    found = seen(both, lambda: net(nn.Softmax(dim=1)))

    assert found.value("activates_again") == "logsumexp"
    assert found.value("loss_name") == "mse_loss"
