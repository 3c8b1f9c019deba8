"""What single remedies do to a target."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from remedy_cases import (
    REMEDIES,
    SGD,
    case_of,
    changed,
    data,
    made,
    mend,
    mlp,
    numbers,
    rare,
    step,
    weights,
)
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.candidate import Candidate, try_on_top
from auditor.counterfactual import Lab
from auditor.remedy import CannotMend
from auditor.store import BatchStore


def test_pretrained_weights_are_never_drawn_anew() -> None:
    audited = replace(made(mlp), traits=frozenset({"from_pretrained"}))

    for name in ("reinitialise", "zero-biases", "relu"):
        with pytest.raises(CannotMend, match="pretrained"):
            mend(name, audited, layers=("0",), category="initialization")


def test_he_comes_before_rectifiers_and_xavier_before_tanh() -> None:
    for activation, kind in ((nn.ReLU(), "He"), (nn.Tanh(), "Xavier")):
        audited = made(lambda activation=activation: mlp(activation))  # type: ignore[misc]

        assert mend("reinitialise", audited, layers=("0",), category="initialization").says == (
            f"Start 0 by {kind}, biases at zero.")


def test_only_the_named_layers_start_anew() -> None:
    audited = made(lambda: changed(mlp(), weights(nn.init.zeros_)))
    mended = mend("reinitialise", audited, layers=("2",), category="initialization")

    model: Any = mended.apply(audited).make_model()

    assert bool(model[2].weight.any())
    assert not bool(model[0].weight.any())


def test_biases_as_large_as_those_at_fault_start_at_zero_too() -> None:
    def start(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.bias, -20.0 if module.out_features == 16 else 0.1)

    audited = made(lambda: changed(mlp(), start))
    mended = mend("zero-biases", audited, layers=("0",))
    model: Any = mended.apply(audited).make_model()

    assert [float(model.get_submodule(path).bias.mean()) for path in ("0", "2", "4")] == [
        0.0, 0.0, pytest.approx(0.1)]
    assert mended.says == "Start the biases of 0 and 2 at zero."


def test_a_functional_activation_is_exchanged_where_it_is_called() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return F.softmax(self.b(torch.sigmoid(self.a(x))), dim=1)

    audited = made(Net)
    batch = BatchStore(audited, 0).train(1)[0]
    model: Any = Net()

    dropped = mend("drop-last-activation", audited).apply(audited).compute(model, batch).output
    relu = mend("relu", audited).apply(audited).compute(model, batch).output

    torch.testing.assert_close(dropped, model.b(torch.sigmoid(model.a(batch[0]))))
    torch.testing.assert_close(relu, F.softmax(model.b(torch.relu(model.a(batch[0]))), dim=1))


def test_attention_keeps_its_softmax_when_the_last_one_is_dropped() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.out = nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            weights = torch.softmax(self.query(x), dim=-1)
            return torch.softmax(self.out(weights * x), dim=1)

    audited = made(Attends)
    batch = BatchStore(audited, 0).train(1)[0]
    model: Any = Attends()

    output = mend("drop-last-activation", audited).apply(audited).compute(model, batch).output

    torch.testing.assert_close(
        output, model.out(torch.softmax(model.query(batch[0]), dim=-1) * batch[0]))


def test_a_training_step_is_mended_too() -> None:
    def loss(model: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(torch.softmax(model(batch[0]), dim=1), batch[1])

    audited = made(mlp, compute=step(loss))
    batch, model = BatchStore(audited, 0).train(1)[0], mlp()

    mended = mend("drop-last-activation", audited).apply(audited).compute(model, batch).loss

    torch.testing.assert_close(mended, F.cross_entropy(model(batch[0]), batch[1]))


def loss_without(
    activation: nn.Module, loss: Callable[[nn.Module, Any], Tensor],
) -> tuple[Tensor, nn.Module, Any]:
    """Return the loss with the last activation dropped, what stands before it, and the batch."""
    def ends_in_it() -> nn.Module:
        return nn.Sequential(mlp(), activation)

    audited = made(ends_in_it, compute=step(loss))
    batch: Any = BatchStore(audited, 0).train(1)[0]
    model: Any = ends_in_it()
    mended = mend("drop-last-activation", audited).apply(audited)
    changed_model: Any = mended.make_model()
    changed_model.load_state_dict(model.state_dict())
    return mended.compute(changed_model, batch).loss, model[0], batch


def test_a_loss_written_by_hand_gets_scores_too() -> None:
    def loss(model: nn.Module, batch: Any) -> Tensor:
        log_p = torch.log_softmax(model(batch[0]), dim=1)
        return -log_p.gather(1, batch[1][:, None]).mean()

    found, body, batch = loss_without(nn.Softmax(dim=1), loss)

    torch.testing.assert_close(found, F.cross_entropy(body(batch[0]), batch[1]))


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_figure_behind_the_loss_is_not_taken_for_it(by_hand: bool) -> None:
    def loss(model: nn.Module, batch: Any) -> Tensor:
        out = model(batch[0])
        wanted = F.one_hot(batch[1], 3).float()
        found = ((out - wanted) ** 2).mean() if by_hand else F.mse_loss(out, wanted)
        (torch.softmax(out, dim=1) - wanted).abs().mean()
        return found

    found, body, batch = loss_without(nn.ReLU(), loss)

    wanted = F.one_hot(batch[1], 3).float()
    torch.testing.assert_close(found, F.mse_loss(body(batch[0]), wanted))


def test_rates_keep_their_ratio_over_groups() -> None:
    def optimizer(model: Any) -> torch.optim.Optimizer:
        return SGD([{"params": model[0].parameters(), "lr": 0.01},
                    {"params": model[2].parameters(), "lr": 0.1}])

    audited = replace(made(mlp), make_optimizer=optimizer)
    mended = mend("suggested-rate", audited, measured={"suggested_lr": 0.001}).apply(audited)

    rates = [group["lr"] for group in mended.make_optimizer(mended.make_model()).param_groups]

    assert rates == pytest.approx([0.001, 0.01])


def test_dead_units_get_a_leak_where_they_are() -> None:
    audited = made(lambda: mlp(nn.ReLU()))
    model = mend("leaky-relu", audited, layers=("3",)).apply(audited).make_model()

    kinds = [type(module).__name__ for module in model.children()]

    assert kinds == ["Linear", "ReLU", "Linear", "LeakyReLU", "Linear"]


def test_padding_is_left_out_of_the_loss() -> None:
    y = data()[1].clone()
    y[::2] = 0
    audited = made(mlp, (data()[0], y))
    mended = mend("ignore-padding", audited, measured={"padding_value": 0}).apply(audited)
    batch, model = BatchStore(audited, 0).train(1)[0], mlp()

    torch.testing.assert_close(
        mended.compute(model, batch).loss,
        F.cross_entropy(model(batch[0]), batch[1], ignore_index=0))


def test_selu_layers_start_by_lecun() -> None:
    audited = made(lambda: mlp(nn.SELU()))

    assert mend("reinitialise", audited, layers=("0",), category="initialization").says == (
        "Start 0 by LeCun, biases at zero.")


def test_lsuv_gives_every_hidden_layer_unit_variance() -> None:
    audited = made(lambda: changed(mlp(nn.Tanh()), weights(nn.init.zeros_)))
    seen: list[float] = []
    model = mend("lsuv", audited).apply(audited).make_model()
    for path in ("0", "2"):
        model.get_submodule(path).register_forward_hook(
            lambda module, inputs, output: seen.append(float(output.detach().std())))

    model(BatchStore(audited, 0).train(1)[0][0])

    assert seen == pytest.approx([1.0, 1.0], abs=1e-4)


def test_balanced_batches_hold_every_class_equally_often() -> None:
    audited = made(lambda: mlp(outputs=2), rare())
    torch.manual_seed(0)
    loader = mend("balanced-sampling", audited).apply(audited).make_train_loader()

    share = torch.cat([batch[1] for batch in loader]).float().mean()

    assert float(share) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", ["class-weights", "balanced-sampling"])
def test_a_rare_class_of_two_is_mended_under_a_binary_loss(name: str) -> None:
    def as_float(seed: int) -> tuple[Tensor, Tensor]:
        x, y = rare(seed)
        return x, y.float()[:, None]

    audited = made(lambda: mlp(outputs=1), as_float(0), lr=3e-3, batch_size=50, val=as_float(1),
                   loss_fn=nn.BCEWithLogitsLoss())
    case = case_of(name, audited, measured={"class_weights": "0.515, 16.7"})
    one = Candidate(case.finding, 0, REMEDIES[name]().mend(case))

    try_on_top(Lab(audited, case.batches, seed=0, steps=60, deadline=math.inf), one, [])

    assert one.outcome.status == "helps"
    assert "mean recall" in one.outcome.after


def test_class_weights_do_not_fit_a_loss_of_numbers() -> None:
    audited = made(lambda: mlp(outputs=1), numbers(), loss_fn=nn.MSELoss())

    with pytest.raises(CannotMend):
        mend("class-weights", audited, measured={"class_weights": "0.515, 16.7"})


@pytest.mark.parametrize(("optimizer", "wanted"), [(SGD, 0.04), (torch.optim.Adam, 0.02)])
def test_a_larger_batch_comes_with_its_rate(optimizer: type, wanted: float) -> None:
    audited = made(mlp, data(3000), optimizer=optimizer, lr=0.01, batch_size=20)
    mended = mend("larger-batch", audited, category="batch").apply(audited)

    rate = mended.make_optimizer(mended.make_model()).param_groups[0]["lr"]

    assert rate == pytest.approx(wanted)
    assert len(next(iter(mended.make_train_loader()))[1]) == 80


def test_a_loss_that_swings_gets_larger_batches_at_its_rate() -> None:
    audited = made(mlp, data(3000), optimizer=SGD, lr=0.01, batch_size=20)
    mended = mend("larger-batch", audited, category="learning-rate").apply(audited)

    assert mended.make_optimizer is audited.make_optimizer


def test_the_focal_loss_plays_down_what_is_right() -> None:
    audited = made(mlp)
    batch, model = BatchStore(audited, 0).train(1)[0], mlp()
    right = torch.softmax(model(batch[0]), dim=1).gather(1, batch[1][:, None])[:, 0]

    loss = mend("focal-loss", audited).apply(audited).compute(model, batch).loss

    torch.testing.assert_close(loss, (-(1 - right) ** 2 * right.log()).mean())


def test_warm_up_decay_and_dropout_apply() -> None:
    audited = made(mlp, val=data())

    assert mend("warm-up", audited).apply(audited).make_scheduler is not None
    for name in ("decay-up", "dropout-on"):
        assert mend(name, audited).judges == "validation"


def test_there_is_nothing_to_mend_where_the_fault_is_not() -> None:
    audited = made(mlp)

    for name in ("drop-last-activation", "all-parameters", "register-layers", "shuffle",
                 "decay-off", "dropout-lower", "clip", "suggested-rate", "leaky-relu",
                 "class-weights"):
        with pytest.raises(CannotMend):
            mend(name, audited)


def test_an_optimizer_that_maximises_is_turned_round_and_the_loss_kept() -> None:
    audited = made(mlp, optimizer=functools.partial(SGD, maximize=True))

    mended = mend("lower-loss", audited).apply(audited)
    optimizer = mended.make_optimizer(mended.make_model())

    assert not any(group["maximize"] for group in optimizer.param_groups)
    assert mended.compute is audited.compute
