"""Targets with one fault each, and the remedies that they are given."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch
from builders import target
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from auditor.finding import Finding, Fix
from auditor.observation import Measurement, Observation
from auditor.remedy import Case, Mended, Remedy
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


def negated(model: nn.Module, batch: Any) -> Tensor:
    return -F.cross_entropy(model(batch[0]), batch[1])


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
    "lower-loss": (made(mlp, compute=step(negated)), {}),
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
