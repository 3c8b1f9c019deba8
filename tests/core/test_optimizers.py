"""The user's optimizer and schedule are built anew over each fresh model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from userfiles import WHOLE, Write, steps, writer

from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.loading import load
from auditor.trial import Bench


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


@pytest.mark.parametrize("source", [
    "optimizer = torch.optim.SGD(model.parameters(), lr=0.25, momentum=0.9)",
    "def optimizer(model): return torch.optim.SGD(model.parameters(), lr=0.25, momentum=0.9)",
    "def optimizer(params): return torch.optim.SGD(params, lr=0.25, momentum=0.9)",
    "def optimizer(p): return torch.optim.SGD(p, lr=0.25, momentum=0.9)",
    "def optimizer(m): return torch.optim.SGD(m.parameters(), lr=0.25, momentum=0.9)",
    "def optimizer(): return torch.optim.SGD(model.parameters(), lr=0.25, momentum=0.9)",
    "lr = 0.25\ndef optimizer(model, lr): return torch.optim.SGD(model.parameters(), lr, 0.9)",
    "import functools\nopt = functools.partial(torch.optim.SGD, lr=0.25, momentum=0.9)",
    "class optimizer(torch.optim.SGD):\n"
    "    def __init__(self, params): super().__init__(params, lr=0.25, momentum=0.9)",
    "def configure_optimizers(model):\n"
    "    o = torch.optim.SGD(model.parameters(), lr=0.25, momentum=0.9)\n"
    "    return {'optimizer': o, 'lr_scheduler': torch.optim.lr_scheduler.StepLR(o, 5)}",
])
def test_every_form_of_an_optimizer_holds_the_fresh_model(write: Write, source: str) -> None:
    target = load(write(WHOLE + "model = Net()\n" + source))

    model = target.make_model()
    built = target.make_optimizer(model)

    (group,) = built.param_groups
    assert (group["lr"], group["momentum"]) == (0.25, 0.9)
    assert {id(p) for p in group["params"]} == {id(p) for p in model.parameters()}
    assert len(steps(target)) == 3


def test_without_an_optimizer_one_stands_in_and_the_report_says_so(write: Write) -> None:
    target = load(write(WHOLE))

    built = target.make_optimizer(target.make_model())

    assert isinstance(built, torch.optim.AdamW) and built.defaults["lr"] == 1e-3
    assert target.optimizer_place is None
    assert not target.optimizer_given and "AdamW(lr=0.001)" in target.notes[-1]


def test_groups_and_their_settings_are_kept(write: Write) -> None:
    target = load(write(WHOLE + """
model = Net()
optimizer = torch.optim.Adam([
    {"params": [model.fc.weight], "weight_decay": 0.1, "name": "w"},
    {"params": [model.fc.bias], "lr": 0.5},
], lr=0.01, betas=(0.5, 0.9))
"""))

    model = target.make_model()
    first, second = target.make_optimizer(model).param_groups

    assert first["params"][0] is model.fc.weight and second["params"][0] is model.fc.bias  # type: ignore[union-attr]
    assert (first["weight_decay"], first["name"], first["lr"]) == (0.1, "w", 0.01)
    assert (second["lr"], second["betas"]) == (0.5, (0.5, 0.9))


def test_what_the_optimizer_leaves_out_stays_out(write: Write) -> None:
    target = load(write(WHOLE + "model = Net()\n"
                        "optimizer = torch.optim.SGD([model.fc.weight], lr=0.1)"))

    model = target.make_model()

    assert [id(p) for p in target.make_optimizer(model).param_groups[0]["params"]] == [
        id(model.fc.weight)]  # type: ignore[union-attr]


def test_an_optimizer_of_another_model_stays_one(write: Write) -> None:
    target = load(write(WHOLE + """
old = Net()
optimizer = torch.optim.SGD(old.parameters(), lr=0.1)
model = Net()
"""))

    model = target.make_model()
    held = {id(p) for p in target.make_optimizer(model).param_groups[0]["params"]}

    assert not held & {id(p) for p in model.parameters()}
    assert len(steps(target)) == 3


def test_an_optimizer_object_beside_a_model_function_follows_the_files_own_model(
        write: Write) -> None:
    target = load(write(WHOLE + """
def build_model(): return Net()
model = build_model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""))

    model = target.make_model()
    held = {id(p) for p in target.make_optimizer(model).param_groups[0]["params"]}

    assert held == {id(p) for p in model.parameters()}


@pytest.mark.parametrize("name", [
    "SGD", "Adam", "AdamW", "Adagrad", "Adadelta", "RMSprop", "Rprop", "NAdam", "RAdam", "ASGD",
    "Adamax", "LBFGS",
])
def test_an_optimizer_object_of_any_class_is_rebuilt_and_steps(write: Write, name: str) -> None:
    target = load(write(WHOLE + f"model = Net()\n"
                        f"optimizer = torch.optim.{name}(model.parameters(), lr=0.01)"))

    losses = steps(target, 8)

    assert losses[-1] < losses[0] + 0.5


def test_layers_that_a_remedy_wraps_or_adds_are_still_trained(write: Write) -> None:
    target = load(write(WHOLE + "model = Net()\n"
                        "optimizer = torch.optim.Adam(model.parameters(), lr=0.1)"))

    model = target.make_model()
    model.fc = nn.Sequential(nn.LayerNorm(4), model.fc)  # type: ignore[arg-type]
    built = target.make_optimizer(model)

    assert {id(p) for p in built.param_groups[0]["params"]} == {id(p) for p in model.parameters()}


def test_several_optimizers_are_refused_with_a_way_out(write: Write) -> None:
    with pytest.raises(TargetError, match="gives 2 optimizers") as e:
        load(write(WHOLE + "def optimizer(model):\n"
                   "    return [torch.optim.SGD(model.parameters(), lr=1.0) for _ in range(2)]"))

    assert "optimizer(model)" in e.value.hint


@pytest.mark.parametrize("source", [
    "scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=50)",
    "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1, (s + 1) / 20))",
    "def scheduler(optimizer):\n"
    "    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=50)",
    "def lr_scheduler():\n"
    "    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=50)",
    "scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, ["
    "torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, total_iters=10),"
    "torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)], milestones=[10])",
])
def test_a_warm_up_is_read_off_every_form_of_a_schedule(write: Write, source: str) -> None:
    target = load(write(WHOLE + "model = Net()\n"
                        "optimizer = torch.optim.SGD(model.parameters(), lr=0.4)\n" + source))

    with seeded(0):
        bench = Bench(target)

    assert bench.schedule.warms_up
    assert bench.lr == pytest.approx(0.4, rel=0.05)


def test_reading_a_schedule_does_not_step_the_users(write: Write) -> None:
    file = write(WHOLE + "model = Net()\n"
                 "optimizer = torch.optim.SGD(model.parameters(), lr=0.4)\n"
                 "scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)")
    target = load(file)
    steps(target)

    with target.surroundings():
        module = sys.modules["model"]
    assert module.scheduler.last_epoch == 0 and module.optimizer.param_groups[0]["lr"] == 0.4
