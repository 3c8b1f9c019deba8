"""The probe `mixing`, beside the Jacobian of the outputs with respect to all inputs."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.observation import Observation
from auditor.target import WithTrainingStep

_GENERATOR = torch.Generator().manual_seed(0)
SEQUENCES = torch.randn(64, 9, 12, generator=_GENERATOR)
LABELS = torch.randint(0, 3, (64,), generator=_GENERATOR)


class Recurrent(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.rnn = nn.LSTM(12, 16, batch_first=batch_first)
        self.out = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.rnn(x)[0][:, -1])
        return out


class Reshaped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(12, 16)
        self.out = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        out: Tensor = self.out(self.rnn(x.reshape(t, n, width))[0][-1])
        return out


class Attending(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(12, 4, 24, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.encoder(x).mean(dim=1))
        return out


class Similarities(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 16)

    def forward(self, x: Tensor) -> Tensor:
        z = F.normalize(self.fc(x.mean(dim=1)), dim=1)
        return 5 * z @ z.T


def influence(make_model: Any, **changes: Any) -> tuple[float, str]:
    observation = observe("mixing", target(make_model, SEQUENCES, LABELS, **changes))
    assert observation.status == "measured", observation.reason
    found = next(m for m in observation.measurements if m.name == "foreign_influence")
    return float(found.value), found.subject


def reaches_others(model: nn.Module) -> bool:
    """Return whether any output has a derivative with respect to another sample's input."""
    x = SEQUENCES[:6].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model.eval()(x)[3].sum(), x)
    others = torch.tensor([0, 1, 2, 4, 5])
    return bool(gradient[others].abs().sum() > 0)


@pytest.mark.parametrize(("make_model", "layer"), [
    (lambda: Recurrent(False), "rnn"), (Reshaped, "out"),
    (lambda: Attending(False), "encoder.layers.0.self_attn"),
])
def test_a_layer_that_runs_along_the_batch_is_named(make_model: Any, layer: str) -> None:
    torch.manual_seed(0)

    assert reaches_others(make_model())
    found, subject = influence(make_model)
    assert found > 0.02
    assert subject == layer


@pytest.mark.parametrize("make_model", [lambda: Recurrent(True), lambda: Attending(True)])
def test_samples_that_keep_to_themselves_are_silent(make_model: Any) -> None:
    torch.manual_seed(0)

    assert not reaches_others(make_model())
    assert influence(make_model)[0] < 1e-5


def refusal(make_model: Any, x: Tensor, y: Tensor, **changes: Any) -> str:
    observation = observe("mixing", target(make_model, x, y, **changes))
    assert observation.status == "not-applicable"
    return observation.reason


def test_a_matrix_of_similarities_may_mix() -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(model(batch[0]), torch.arange(len(batch[0])))

    assert "number of samples" in refusal(Similarities, SEQUENCES, LABELS,
                                          compute=WithTrainingStep(step))


def test_the_nodes_of_a_graph_are_no_samples() -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("adjacency", torch.full((64, 64), 1 / 64))
            self.fc = nn.Linear(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.fc(self.adjacency @ x)  # type: ignore[operator]
            return out

    assert refusal(Graph, SEQUENCES[:, 0], LABELS, batch_size=64)


def test_time_before_batch_is_not_taken_for_samples() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(20, 8)
            self.rnn = nn.GRU(8, 8)
            self.out = nn.Linear(8, 20)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.out(self.rnn(self.embed(x))[0])
            return out

    tokens = torch.randint(0, 20, (9, 32))

    def step(model: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())

    assert "not certain" in refusal(Model, SEQUENCES, LABELS, compute=WithTrainingStep(step),
                                    make_train_loader=lambda: [(tokens, tokens)])


def test_batch_statistics_in_eval_mode_are_no_mixing() -> None:
    def make_model() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(108, 8),
                             nn.BatchNorm1d(8, track_running_stats=False), nn.Linear(8, 3))

    assert "statistics" in refusal(make_model, SEQUENCES, LABELS)


def influences(observation: Observation) -> list[float]:
    return [float(m.value) for m in observation.measurements if m.name == "foreign_influence"]


@pytest.mark.parametrize("order", [
    lambda x: torch.randperm(len(x)), lambda x: x[:, 0, 0].argsort(descending=True)])
def test_a_step_that_puts_its_samples_in_another_order_mixes_nothing(order: Any) -> None:
    def step(model: nn.Module, batch: Any) -> Tensor:
        x, y = batch
        places = order(x)
        loss: Tensor = F.cross_entropy(model(x[places]), y[places])
        return loss

    silent, mixing = (observe("mixing", target(
        partial(Recurrent, batch_first=first), SEQUENCES, LABELS,
        compute=WithTrainingStep(step))) for first in (True, False))

    assert max(influences(silent)) == 0
    assert max(influences(mixing)) > 0.01
