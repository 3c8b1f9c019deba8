"""Outputs read from the autograd graph against those of watched passes, and when they are not."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from itertools import count

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.utils.checkpoint import checkpoint

from auditor.functionwatcher import FunctionWatcher
from auditor.steprecorder import StepRecorder

_PASSES = 8


class Net(nn.Module):
    """Two layers and a head; `between` is all that comes after the first one."""

    def __init__(self, between: Callable[[Net, Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.first, self.second, self.other = (nn.Linear(6, 6) for _ in range(3))
        self.head = nn.Linear(6, 2)
        self.between = between or (lambda net, x: torch.tanh(net.second(x)))
        self.calls = count()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.between(self, F.relu(self.first(x))))  # type: ignore[no-any-return]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each pass of which every call was watched, but for the first pass."""
    entered: list[int] = []
    enter = FunctionWatcher.__enter__

    def noted(self: FunctionWatcher) -> FunctionWatcher:
        entered.append(1)
        return enter(self)

    monkeypatch.setattr(FunctionWatcher, "__enter__", noted)
    return entered


def _train(model: nn.Module, *, tells_loss: bool, passes: int = _PASSES) -> StepRecorder:
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = StepRecorder(model)
    for _ in range(passes):
        x = torch.randn(16, 6)
        with recorder.forward(len(x)):
            loss = model(x).square().mean()
        if tells_loss:
            recorder.after_forward(loss)
        optimizer.zero_grad()
        loss.backward()
        recorder.before_update()
        optimizer.step()
        recorder.after_update()
    return recorder


def _figures(recorder: StepRecorder) -> dict[str, list[object]]:
    return {subject: [record.rms, record.variation, record.mean, record.slope, record.samples,
                      record.peaks if record.peaks is None else record.peaks.tolist()]
            for subject, record in recorder.activations.records.items()}


@pytest.mark.parametrize("between", [
    lambda net, x: torch.tanh(net.second(x)),
    lambda net, x: x + torch.softmax(net.second(x), dim=-1),
    lambda net, x: torch.relu_(net.second(x)) * torch.sigmoid(net.other(x)),
    lambda net, x: F.relu(net.second(F.relu(net.second(x)))),
    lambda net, x: F.gelu(net.second(x), approximate="tanh") + F.silu(net.other(x)),
    lambda net, x: F.leaky_relu(net.second(x), 0.3) + F.elu(net.other(x), alpha=0.5),
    lambda net, x: nn.Hardtanh(-0.2, 0.2)(net.second(x)),
], ids=["tanh", "residual", "gate", "shared", "gelu", "leaky", "hardtanh"])
def test_what_is_read_from_the_graph_is_what_a_watched_pass_sees(
    between: Callable[[Net, Tensor], Tensor], watched: list[int],
) -> None:
    torch.manual_seed(1)
    plain, read = Net(between), Net(between)
    read.load_state_dict(plain.state_dict())

    expected = _figures(_train(plain, tells_loss=False))
    assert len(watched) == _PASSES - 1
    watched.clear()

    assert _figures(_train(read, tells_loss=True)) == expected
    # Two passes teach the graph.
    assert len(watched) == 2


@pytest.mark.parametrize("between", [
    lambda net, x: F.relu6(net.second(x)),
    lambda net, x: F.silu(net.second(x), inplace=True),
    lambda net, x: F.rrelu(net.second(x), training=True),
    lambda net, x: net.second(x).detach().relu(),
    lambda net, x: checkpoint(lambda h: F.relu(net.second(h)), x, use_reentrant=False),
    lambda net, x: torch.tanh((net.second if next(net.calls) % 2 else net.other)(x)),
    lambda net, x: F.relu(torch.ones(16, 6)) + x,
], ids=["rectifier", "overwritten", "random", "cut off", "checkpoint",
        "another layer each time", "constant"])
def test_passes_whose_graph_does_not_hold_all_are_watched(
    between: Callable[[Net, Tensor], Tensor], watched: list[int],
) -> None:
    torch.manual_seed(1)

    recorder = _train(Net(between), tells_loss=True)

    assert len(watched) == _PASSES - 1
    assert {len(record.rms) for record in recorder.activations.records.values()} <= {
        _PASSES, _PASSES // 2}


def test_outputs_that_saved_tensor_hooks_moved_are_not_unpacked() -> None:
    unpacked = []
    model = Net()

    def unpack(tensor: Tensor) -> Tensor:
        unpacked.append(1)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, unpack):
        _train(model, tells_loss=False, passes=4)
        alone = len(unpacked)
        unpacked.clear()
        _train(model, tells_loss=True, passes=4)

    assert len(unpacked) == alone


def test_a_graph_that_changes_later_costs_one_pass_and_is_watched_from_then_on(
    watched: list[int],
) -> None:
    model = Net(lambda net, x: torch.tanh((net.second if next(net.calls) < 5 else net.other)(x)))

    records = _train(model, tells_loss=True).activations.records

    # Two passes teach the graph, two are read, the sixth is lost, two are watched.
    assert len(watched) == 2 + 2
    assert [len(record.rms) for record in records.values()] == [_PASSES - 1] * 2


@pytest.mark.parametrize("tells_loss", [True, False])
def test_no_output_is_kept(tells_loss: bool) -> None:
    model, outputs = Net(), []

    def first(net: Net, x: Tensor) -> Tensor:
        outputs.append(weakref.ref(x))
        return torch.tanh(net.second(x))

    model.between = first
    recorder = StepRecorder(model)
    for _ in range(_PASSES):
        with recorder.forward(16):
            loss = model(torch.randn(16, 6)).square().mean()
        if tells_loss:
            recorder.after_forward(loss)
        del loss
        assert outputs[-1]() is None
