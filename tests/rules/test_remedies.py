"""Every remedy mends the fault that it is made for, on a copy, and leaves no trace."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
import torch
from builders import target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor import batches, registry
from auditor.candidate import Candidate, try_on_top
from auditor.counterfactual import Lab
from auditor.finding import Finding, Fix
from auditor.observation import Measurement, Observation
from auditor.remedy import CannotMend, Case, Mended, Remedy
from auditor.report import Report
from auditor.store import BatchStore
from auditor.target import LossResult, Target

REMEDIES: Mapping[str, type[Remedy]] = {
    remedy.name: remedy for remedy in import_module("auditor.rules.remedies").REMEDIES}


def data(count: int = 600) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.randperm(count, generator=generator) % 3
    centres = 2.0 * torch.randn(3, 6, generator=generator)
    return centres[y] + torch.randn(count, 6, generator=generator), y


def numbers(count: int = 600) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 6, generator=generator)
    return x, x @ torch.randn(6, generator=generator)


def mlp(*activation: nn.Module, outputs: int = 3, width: int = 16) -> nn.Sequential:
    between = activation[0] if activation else nn.ReLU()
    return nn.Sequential(nn.Linear(6, width), between, nn.Linear(width, width),
                         copy.deepcopy(between), nn.Linear(width, outputs), *activation[1:])


def changed(model: nn.Module, change: Callable[[nn.Module], Any]) -> nn.Module:
    for module in model.modules():
        change(module)
    return model


def weights(draw: Callable[[Tensor], Any]) -> Callable[[nn.Module], Any]:
    return lambda module: draw(module.weight) if isinstance(module, nn.Linear) else None


def step(compute: Callable[[nn.Module, Any], Tensor]) -> Callable[[nn.Module, Any], LossResult]:
    return lambda model, batch: LossResult(compute(model, batch), None)


def listed() -> nn.Module:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(6, 32), nn.Linear(32, 3)]
            self.scale = nn.Parameter(torch.ones(1))
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=0.01)

        def forward(self, x: Tensor) -> Tensor:
            output: Tensor = self.layers[1](torch.relu(self.layers[0](x)))
            return self.scale * output

    return Hidden()


def frozen_norm() -> nn.Module:
    model: Any = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    nn.init.constant_(model[1].running_var, 1e6)
    model[1].eval()
    return model  # type: ignore[no-any-return]


def stale_norm() -> nn.Module:
    model: Any = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16, momentum=1e-6), nn.ReLU(),
                          nn.Linear(16, 3))
    nn.init.constant_(model[1].running_mean, 30.0)
    return model  # type: ignore[no-any-return]


def made(model: Callable[[], nn.Module], xy: tuple[Tensor, Tensor] | None = None,
         **changes: Any) -> Target:
    settings = {"optimizer": torch.optim.Adam, "lr": 1e-2, **changes}
    return target(model, *(xy or data()), **settings)


def raw() -> tuple[Tensor, Tensor]:
    x, y = data()
    return 1000.0 * x + 5000.0, y


def noisy() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3000, 6, generator=generator)
    y = x @ torch.randn(6, generator=generator)
    return x, (y + 2.0 * torch.randn(3000, generator=generator))[:, None]


def ordered() -> tuple[Tensor, Tensor]:
    x, y = data(3000)
    order = y.argsort()
    return x[order], y[order]


def rare(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = (torch.rand(2000, generator=generator) < 0.03).long()
    x = torch.randn(2000, 6, generator=generator)
    x[:, 0] += 1.5 * y
    return x, y


def holed() -> tuple[Tensor, Tensor]:
    x, y = data()
    x[::50, 2] = math.nan
    return x, y


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))


class Drops(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.body(F.dropout(x, 0.7))
        return output


class PerPosition(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(x)
        return output


def per_position(model: nn.Module, batch: Any) -> Tensor:
    return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())


def padded() -> tuple[Tensor, Tensor]:
    x, y = data(3000)
    x, y = x.view(300, 10, 6), y.view(300, 10) + 1
    y[:, 2:] = 0
    return x, y


def few(seed: int = 0, count: int = 60) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 100, generator=generator)
    noise = torch.randn(count, generator=generator)
    return x, (x[:, 0] + x[:, 1] + noise > 0).long()


def wide() -> nn.Module:
    return nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 2))


def decayed(model: Any, lr: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model, lr=lr, weight_decay=30.0)


def only_last(model: nn.Module) -> torch.optim.Optimizer:
    held = [*model.parameters()][-2:]
    return torch.optim.Adam(held, lr=1e-2)


SGD = torch.optim.SGD
CASES: dict[str, tuple[Target, dict[str, Any]]] = {
    "reinitialise": (made(lambda: changed(mlp(nn.Tanh()), weights(nn.init.zeros_))), {
        "layers": ("0", "2", "4"), "category": "initialization"}),
    "zero-biases": (made(lambda: changed(mlp(), lambda m: nn.init.constant_(
        m.bias, -20.0) if isinstance(m, nn.Linear) and m.out_features == 16 else None)), {
        "layers": ("0", "2"), "category": "initialization"}),
    "suggested-rate": (made(mlp, optimizer=SGD, lr=1e-5), {"measured": {"suggested_lr": 0.3}}),
    "lower-rate": (made(mlp, optimizer=SGD, lr=8.0), {}),
    "clip": (made(mlp, raw(), optimizer=SGD, lr=0.01), {
        "measured": {"gradient_clip_norm": 0.5}}),
    "relu": (made(lambda: nn.Sequential(nn.Linear(6, 24), nn.Sigmoid(), *[
        layer for _ in range(7) for layer in (nn.Linear(24, 24), nn.Sigmoid())],
        nn.Linear(24, 3)), lr=1e-3), {}),
    "normalise": (made(lambda: changed(mlp(nn.Tanh()), weights(
        lambda w: nn.init.normal_(w, std=1e-4))), optimizer=SGD, lr=0.1), {}),
    "drop-last-activation": (made(lambda: mlp(nn.ReLU(), nn.Softmax(dim=1)), optimizer=SGD,
                                  lr=0.1), {}),
    "align-shapes": (made(lambda: mlp(outputs=1), numbers(), loss_fn=nn.MSELoss()), {}),
    "logits-loss": (made(mlp, loss_fn=nn.NLLLoss()), {}),
    "standardise": (made(mlp, raw(), optimizer=SGD, lr=0.1), {}),
    "all-parameters": (replace(made(lambda: changed(mlp(), weights(
        lambda w: nn.init.normal_(w, std=0.02)))), make_optimizer=only_last), {}),
    "register-layers": (made(listed), {}),
    "train-mode": (made(frozen_norm), {"layers": ("1",)}),
    "usual-momentum": (made(stale_norm), {"layers": ("1",)}),
    "shuffle": (made(mlp, ordered(), shuffle=False, optimizer=SGD, lr=0.3), {}),
    "class-weights": (made(lambda: mlp(outputs=2), rare(), lr=3e-3, batch_size=200), {
        "measured": {"class_weights": "0.515, 16.7"}}),
    "decay-off": (made(mlp, optimizer=decayed), {}),
    "dropout-lower": (made(lambda: nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.95), nn.Linear(16, 3))), {}),
    "drop-samples": (made(mlp, holed()), {}),
    "reinitialise-before": (made(lambda: changed(mlp(), lambda m: nn.init.constant_(
        m.bias, -20.0) if isinstance(m, nn.Linear) and m.out_features == 16 else None)), {
        "layers": ("1", "3")}),
    "leaky-relu": (made(lambda: changed(mlp(), lambda m: nn.init.constant_(
        m.bias, -20.0) if isinstance(m, nn.Linear) and m.out_features == 16 else None),
        lr=0.1), {"layers": ("1", "3")}),
    "lsuv": (made(lambda: changed(mlp(nn.Tanh()), weights(
        lambda w: nn.init.normal_(w, std=1e-4))), optimizer=SGD, lr=0.1), {}),
    "balanced-sampling": (made(lambda: mlp(outputs=2), rare(), lr=3e-3, batch_size=50,
                               val=rare(1)), {}),
    "larger-batch": (made(lambda: nn.Linear(6, 1), noisy(), loss_fn=nn.MSELoss(), optimizer=SGD,
                          lr=0.1, batch_size=2), {}),
    "group-norm": (made(normed, data(3000), batch_size=2), {"layers": ("1",)}),
    "drop-last": (made(normed, data(601), batch_size=30), {}),
    "dropout-in-training": (made(Drops), {}),
    "ignore-padding": (made(PerPosition, padded(), optimizer=SGD, lr=0.1,
                            compute=step(per_position)), {"measured": {"padding_value": 0}}),
    "decay-up": (made(wide, few(), optimizer=torch.optim.AdamW, lr=0.03, val=few(1, 600)), {}),
    "l1-penalty": (made(wide, few(), lr=0.01, val=few(1, 600)), {}),
    "dropout-on": (made(wide, few(), lr=0.01, val=few(1, 600)), {}),
}
# Their faults show in long runs only; that they apply is tested below.
WITHOUT_CASE = {"warm-up", "focal-loss"}


def case_of(name: str, audited: Target, *, layers: tuple[str, ...] = (),
            category: str = "gradient", measured: Mapping[str, Any] | None = None) -> Case:
    finding = Finding(rule="a-rule", category=category, severity="error", confidence="high",
                      title="t", message="m", layers=layers, fixes=(Fix("s", remedy=name),))
    seen = Observation("some", measurements=tuple(
        Measurement(key, value) for key, value in (measured or {}).items()))
    report = Report("fail", findings=(finding,), observations=(seen,))
    return Case(finding, finding.fixes[0], report, audited, BatchStore(audited, 0))


def mend(name: str, audited: Target, **given: Any) -> Mended:
    return REMEDIES[name]().mend(case_of(name, audited, **given))


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_remedy_helps_where_its_fault_is(name: str) -> None:
    audited, given = CASES[name]
    case = case_of(name, audited, **given)
    one = Candidate(case.finding, 0, REMEDIES[name]().mend(case))

    try_on_top(Lab(audited, case.batches, seed=0, steps=60, deadline=math.inf), one, [])

    assert one.outcome.status == "helps", one.outcome


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_remedy_leaves_no_trace(name: str) -> None:
    audited, given = CASES[name]
    model = audited.make_model()
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    private = replace(audited, make_model=lambda: copy.deepcopy(model), reinitialises=False)
    state = torch.get_rng_state()
    stored = [batches.private(batch) for batch in BatchStore(private, 0).train(2)]
    case = case_of(name, private, **given)
    one = Candidate(case.finding, 0, REMEDIES[name]().mend(case))

    try_on_top(Lab(private, case.batches, seed=0, steps=4, deadline=math.inf), one, [])

    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
    for old, new in zip(stored, BatchStore(private, 0).train(2), strict=True):
        assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(
            batches.tensors_of(old), batches.tensors_of(new), strict=True))


def test_every_remedy_is_shown_to_help_or_listed() -> None:
    assert set(REMEDIES) == set(CASES) | WITHOUT_CASE


def test_packs_name_only_remedies_that_exist() -> None:
    known = registry.remedies().items
    named = {fix.remedy for rule in registry.rules().items.values() for fix in rule.fixes
             if fix.remedy}

    assert named <= set(known)


def test_every_remedy_is_named_by_a_pack() -> None:
    named = {fix.remedy for rule in registry.rules().items.values() for fix in rule.fixes}

    assert set(REMEDIES) <= named


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
