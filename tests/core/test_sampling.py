"""Samples against all values, and the recorder of steps against a slow, exact one."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.activity import ActivationRecord
from auditor.parametertrack import _strided
from auditor.sampling import Samples, pairing
from auditor.steprecorder import StepRecorder


class Net(nn.Module):
    """Functional activations behind a convolution and a linear layer."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.fc, self.head = nn.Conv2d(1, 16, 5), nn.Linear(2304, 200), nn.Linear(200, 4)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        self.first = self.activation(self.conv(x))
        pooled = F.max_pool2d(self.first, 2)
        self.second = self.activation(self.fc(pooled.flatten(1)))
        return self.head(self.second)  # type: ignore[no-any-return]


def _recorded(activation: Callable[[Tensor], Tensor], *, steps: int = 1) -> tuple[
        Net, StepRecorder, list[list[Tensor]], list[list[Tensor]]]:
    """Train for some steps; return the recorder, all activations, and gradients and weights."""
    torch.manual_seed(0)
    net = Net(activation)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    recorder = StepRecorder(net)
    outputs, moved = [], []
    for _ in range(steps):
        x = torch.randn(64, 1, 28, 28)
        with recorder.forward(64):
            loss = F.cross_entropy(net(x), x.flatten(1)[:, :4].argmax(1))
        outputs.append([net.first.detach().clone(), net.second.detach().clone()])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        recorder.before_update()
        before = [p.detach().clone() for p in net.parameters()]
        optimizer.step()
        moved.append([_ratio(b, p) for b, p in zip(before, net.parameters(), strict=True)])
        recorder.after_update()
    return net, recorder, outputs, moved


def _ratio(before: Tensor, after: Tensor) -> Tensor:
    ratio: Tensor = (after.detach() - before).norm() / before.norm()
    return ratio


def _relative(found: float, exact: Tensor) -> float:
    return abs(found - float(exact)) / float(exact)


def _records(recorder: StepRecorder) -> list[ActivationRecord]:
    return list(recorder.activations.records.values())


@pytest.mark.parametrize("activation", [torch.tanh, F.relu], ids=["tanh", "relu"])
def test_pooled_sampled_statistics_agree_with_those_of_all_values(
    activation: Callable[[Tensor], Tensor],
) -> None:
    _, recorder, outputs, _ = _recorded(activation, steps=10)

    for place, record in enumerate(_records(recorder)):
        exact = [step[place] for step in outputs]
        rms = torch.stack([y.square().mean().sqrt() for y in exact])
        spread = torch.stack([y.var(0).mean().sqrt() for y in exact])
        # 1,024 values in each of ten steps: the sampling error of all of them is below 0.055.
        assert _relative(sum(record.rms) / 10, rms.mean()) < 0.055
        variation = sum(v * r for v, r in zip(record.variation, record.rms, strict=True)) / 10
        assert _relative(variation, spread.mean()) < 0.055


def test_sampled_saturation_agrees_with_that_of_all_values() -> None:
    _, recorder, outputs, _ = _recorded(lambda x: torch.tanh(3 * x), steps=10)

    for place, record in enumerate(_records(recorder)):
        flat = torch.stack([(1 - step[place].square() < 0.05).float().mean() for step in outputs])
        # Shares of 10,240 values; positions of one image are not independent.
        assert sum(record.flat) / 10 == pytest.approx(float(flat.mean()), abs=0.02)


def test_dead_units_are_exact() -> None:
    _, recorder, outputs, _ = _recorded(lambda x: F.relu(x - 1.0), steps=6)

    # The first and the fifth pass looked at the units.
    alive = torch.cat([outputs[step][1] for step in (0, 4)]).amax(0) > 0
    found = list(recorder.activations.dead_shares().values())

    assert _records(recorder)[1].samples == 128
    assert 0 < found[1] == pytest.approx(1 - float(alive.float().mean()))


def test_gradients_are_exact_and_updates_agree_within_the_sampling() -> None:
    net, recorder, _, moved = _recorded(F.relu, steps=3)

    track = recorder.parameters
    for index, parameter in enumerate(net.parameters()):
        assert parameter.grad is not None
        assert track.gradient_norms[-1][index] == pytest.approx(float(parameter.grad.norm()))
        for step in range(3):
            assert _relative(track.update_ratios[step][index], moved[step][index]) < 0.1


def test_gradients_that_are_not_finite_are_told() -> None:
    model = nn.Linear(2, 2)
    model.unused = nn.Parameter(torch.ones(2))
    recorder = StepRecorder(model)

    for value in (1.0, math.inf, 1.0):
        model.zero_grad()
        model(torch.full((2, 2), value)).sum().backward()
        recorder.before_update()
        recorder.after_update()

    assert recorder.parameters.first_fault() == (1, ["weight"])


def test_weights_that_an_optimizer_replaces_are_seen_to_move() -> None:
    model = nn.Linear(2, 2)
    recorder = StepRecorder(model)
    model(torch.ones(2, 2)).sum().backward()

    recorder.before_update()
    model.weight.data = model.weight.data * 2
    recorder.after_update()

    assert recorder.parameters.update_ratios[0][0] == pytest.approx(1.0)


@pytest.mark.parametrize("writes_to_data", [True, False])
def test_what_is_done_to_weights_between_recorded_steps_is_not_the_next_ones_update(
    writes_to_data: bool,
) -> None:
    model = nn.Linear(2, 2)
    recorder = StepRecorder(model)
    model(torch.ones(2, 2)).sum().backward()

    def scale(factor: float) -> None:
        with torch.no_grad():
            (model.weight.data if writes_to_data else model.weight).mul_(factor)

    for _ in range(2):
        recorder.before_update()
        scale(1.5)
        recorder.after_update()
        scale(4.0)

    assert [ratios[0] for ratios in recorder.parameters.update_ratios] == [pytest.approx(0.5)] * 2


def test_each_of_many_steps_has_its_own_update_also_after_weights_were_set_between_two() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    recorder, exact = StepRecorder(model), []
    for step in range(100):
        if step == 30:
            nn.init.ones_(model.weight)
        model.zero_grad()
        model(torch.randn(4, 3)).square().sum().backward()
        recorder.before_update()
        before = model.weight.detach().clone()
        with torch.no_grad():
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter.sub_(0.01 * parameter.grad)
        recorder.after_update()
        exact.append(float(_ratio(before, model.weight)))

    track = recorder.parameters
    assert [ratios[0] for ratios in track.update_ratios] == pytest.approx(exact, rel=1e-4)
    assert len(track.gradient_norms) == 100


def test_a_model_without_parameters_can_be_recorded() -> None:
    recorder = StepRecorder(nn.ReLU())

    recorder.before_update()
    recorder.after_update()

    assert recorder.parameters.gradient_norms == [[]]


@pytest.mark.parametrize("size", [1, 3, 10, 256, 257, 700, 5000])
def test_the_sample_of_a_weight_reaches_from_its_first_to_its_last_values(size: int) -> None:
    sample = _strided(torch.arange(float(size)))

    assert len(sample) <= 256
    assert float(sample.min()) == 0 and float(sample.max()) >= 0.9 * (size - 1)


@pytest.mark.parametrize("layout", ["transposed", "gaps"])
def test_a_weight_of_any_layout_is_sampled_where_it_lies(layout: str) -> None:
    whole = torch.randn(40, 30)
    model = nn.Module()
    model.weight = nn.Parameter(whole.t() if layout == "transposed" else whole[:, :10])
    recorder = StepRecorder(model)
    model.weight.sum().backward()  # type: ignore[no-untyped-call]

    recorder.before_update()
    with torch.no_grad():
        model.weight.mul_(1.5)
    recorder.after_update()

    assert recorder.parameters.update_ratios[0] == [pytest.approx(0.5)]


def test_recording_changes_nothing() -> None:
    torch.manual_seed(0)
    plain = Net(F.relu)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    for _ in range(3):
        x = torch.randn(64, 1, 28, 28)
        optimizer.zero_grad()
        F.cross_entropy(plain(x), x.flatten(1)[:, :4].argmax(1)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    net, _, _, _ = _recorded(F.relu, steps=3)

    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), plain.parameters(), strict=True))


@pytest.mark.parametrize(("rows", "features"), [
    (1, 1), (1, 5000), (2, 3), (64, 512), (64, 12544), (127, 10), (4001, 1), (32, 65536),
])
def test_a_sample_lies_inside_and_reaches_to_the_end(rows: int, features: int) -> None:
    plan = pairing(rows, features, 1024)
    reach = rows * features - plan.lag

    assert 1 <= plan.pairs <= 512 and plan.slack >= 1
    assert (plan.pairs - 1) * plan.stride + plan.slack - 1 == reach - 1
    assert plan.slack <= 2 * plan.stride
    assert math.gcd(plan.stride, reach) == 1


def test_samples_of_any_layout_are_values_of_the_tensor() -> None:
    whole = torch.arange(4 * 6 * 8 * 8, dtype=torch.float32).reshape(4, 6, 8, 8)
    samples = Samples(64, 8)
    tensors = [whole, whole[1:], whole.to(memory_format=torch.channels_last), whole[:, ::2],
               whole.transpose(0, 1), whole[:1, :1, :1, :3], whole[0, 0, 0]]

    for turn, tensor in enumerate(tensors):
        samples.take(tensor, turn)
    taken, valid, _ = samples.drain()

    for row, tensor in enumerate(tensors):
        values = {float(v) for v in taken[row][:, valid[row]].flatten()}
        assert values <= set(tensor.flatten().tolist())


def test_a_sample_of_a_small_tensor_holds_each_pair_once() -> None:
    samples = Samples(64, 1)
    samples.take(torch.ones(64, 4), 0)
    samples.drain()

    samples.take(torch.ones(2, 4), 0)

    assert float(samples.drain()[0].sum()) == 8
