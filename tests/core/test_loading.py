"""A user's file becomes a target, whatever it holds under the usual names."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from auditor import batches
from auditor.errors import TargetError, TargetTimeout
from auditor.isolation import seeded
from auditor.loading import check, load
from auditor.store import BatchStore
from auditor.target import Target
from auditor.trial import Bench

HEAD = """
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()
"""
DATA = HEAD + "train_loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)\n"
LOSS = "loss_fn = nn.CrossEntropyLoss()\n"
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
    def forward(self, x):
        return self.fc(x)
"""
WHOLE = DATA + LOSS + NET

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writing(source: str, name: str = "model.py") -> str:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source), encoding="utf-8")
        return str(file)

    return writing


def steps(target: Target, count: int = 3) -> list[float]:
    """Train a fresh copy for some steps."""
    store = BatchStore(target)
    with target.surroundings(), seeded(0):
        bench = Bench(target)
        losses = [bench.step(batch) for batch in store.cycled(count)]
    store.close()
    return losses


# ---- the table of roles


@pytest.mark.parametrize("source", [
    "def build_model(): return Net()", "def make_model(): return Net()",
    "def create_model(): return Net()", "def get_model(): return Net()", "model = Net()",
    "net = Net()", "model = Net", "build_model = lambda: Net()", "pass",
    "def build_model(width=3): return Net()",
    "width = 4\ndef build_model(width): return nn.Linear(width, 2)",
    "def build_model(): return Net(), 'tokenizer'",
])
def test_every_form_of_a_model_trains(write: Write, source: str) -> None:
    target = load(write(WHOLE + source))

    assert len(steps(target)) == 3
    assert target.reinitialises


def test_the_first_name_of_the_table_wins(write: Write) -> None:
    target = load(write(WHOLE + "model = Net()\ndef build_model(): return nn.Linear(4, 2)"))

    assert target.names["model"] == "build_model" and target.name == "Linear"


def test_a_name_of_another_kind_is_passed_over(write: Write) -> None:
    target = load(write(WHOLE + "model = 'resnet'\noptimizer = 'adam'\nloss = 3\nnet = Net()"))

    assert target.names["model"] == "net" and not target.optimizer_given


def test_the_only_module_class_is_the_model_and_its_parts_are_not(write: Write) -> None:
    target = load(write(WHOLE + """
class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Net()
    def forward(self, x): return self.part(x)
class SomeLoss(nn.Module): pass
class Needs(nn.Module):
    def __init__(self, width): super().__init__()
"""))

    assert target.name == "Whole"


def test_a_class_that_is_the_loss_is_not_the_model(write: Write) -> None:
    target = load(write(DATA + NET + """
class Criterion(nn.Module):
    def forward(self, output, target): return F.cross_entropy(output, target)
criterion = Criterion()
"""))

    assert target.name == "Net" and len(steps(target)) == 3


def test_a_librarys_function_that_was_only_imported_is_passed_over(
        write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.names.is_users", lambda file: "library" not in file)
    write("def create_model(name): raise KeyError(name)", "library.py")

    target = load(write("from library import create_model\n" + WHOLE + "model = Net()"))

    assert target.names["model"] == "model"


def test_several_possible_classes_are_named(write: Write) -> None:
    with pytest.raises(TargetError, match="several classes could be the model: Net, Other") as e:
        load(write(WHOLE + "class Other(nn.Module): pass"))

    assert "--model Other" in e.value.hint


def test_names_can_be_chosen(write: Write) -> None:
    file = write(WHOLE + "class cfg: net = Net()\nclass Other(nn.Module): pass")

    assert load(file, names={"model": "Net"}).names["model"] == "Net"
    assert load(file, names={"model": "cfg.net"}).name == "Net"
    assert load(file + ":Net").name == "Net"


def test_a_chosen_name_that_does_not_exist_is_answered_with_the_nearest(write: Write) -> None:
    with pytest.raises(TargetError, match="there is no Nett") as e:
        load(write(WHOLE), names={"model": "Nett"})

    assert "Did you mean Net?" in e.value.hint


def test_a_chosen_name_of_the_wrong_kind_is_said(write: Write) -> None:
    with pytest.raises(TargetError, match="x is a Tensor, not a model"):
        load(write(WHOLE), names={"model": "x"})


@pytest.mark.parametrize(("source", "first"), [
    ("train_dataloader = [(x, y)]", 40),
    ("def train_loader(): return DataLoader(TensorDataset(x, y), batch_size=8)", 8),
    ("def train_loader_fn():\n    while True: yield x[:5], y[:5]", 5),
    ("batch_size = 10\ntrain_dataset = TensorDataset(x, y)", 10),
    ("train_set = TensorDataset(x, y)", 32),
    ("train_data = (x, y)", 32),
    ("train_data = (x.numpy(), y.numpy())", 32),
    ("def train_dataset(): return TensorDataset(x, y)", 32),
    ("train_dl = DataLoader(TensorDataset(x, y), batch_size=4)", 4),
    ("loader = DataLoader(TensorDataset(x, y), batch_size=3)", 3),
    ("BATCH_SIZE = 7\ntrain_loader = TensorDataset(x, y)", 7),
    ("""
class Stream(IterableDataset):
    def __iter__(self): return iter(zip(x, y))
train_dataset = Stream()
""", 32),
])
def test_every_form_of_training_data_is_read(write: Write, source: str, first: int) -> None:
    target = load(write(HEAD + LOSS + NET + source))

    assert batches.length(BatchStore(target).train(1)[0]) == first
    assert len(steps(target)) == 3


def test_a_dataset_is_read_through_a_loader_that_the_report_names(write: Write) -> None:
    target = load(write(HEAD + LOSS + NET + "train_set = TensorDataset(x, y)"))

    assert "DataLoader(train_set, batch_size=32, shuffle=True)" in target.notes[0]


def test_validation_data_is_found_and_optional(write: Write) -> None:
    assert load(write(WHOLE)).make_val_loader is None

    target = load(write(WHOLE + "test_loader = DataLoader(TensorDataset(x, y), batch_size=40)"))

    assert target.names["val_loader"] == "test_loader"
    assert batches.length(BatchStore(target).val(1)[0]) == 40


@pytest.mark.parametrize("source", [
    "criterion = F.cross_entropy", "criterion = nn.CrossEntropyLoss",
    "def criterion(): return nn.CrossEntropyLoss()",
    "def loss(output, target): return F.cross_entropy(output, target)",
    "def training_step(model, batch):\n    x, y = batch\n    return F.cross_entropy(model(x), y)",
    "def training_step(model, batch):\n  return {'loss': F.cross_entropy(model(batch[0]), y[:8])}",
    "def loss_fn(model, batch): return F.cross_entropy(model(batch[0]), batch[1])",
])
def test_every_form_of_a_loss_trains(write: Write, source: str) -> None:
    target = load(write(DATA + NET + source))

    assert len(steps(target)) == 3
    assert target.loss_place is not None or "nn.CrossEntropyLoss" in source or "F." in source


def test_a_step_counts_more_than_a_loss_beside_it(write: Write) -> None:
    target = load(write(WHOLE + "def training_step(model, batch): return model(batch[0]).sum()"))

    assert target.kind == "step" and target.names["step"] == "training_step"


@pytest.mark.parametrize("made", ["{'loss': l}", "SimpleNamespace(loss=l)", "(l, out)"])
def test_a_model_may_hold_its_own_loss(write: Write, made: str) -> None:
    target = load(write(HEAD + f"""
from types import SimpleNamespace
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
    def forward(self, inputs, labels=None):
        out = self.fc(inputs)
        l = F.cross_entropy(out, labels)
        return {made}
train_loader = [{{'inputs': x, 'labels': y}}] * 3
"""))

    assert target.kind == "model" and len(steps(target)) == 3


# ---- optimizer and schedule


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


# ---- fresh initialisations


def test_a_model_object_gives_new_weights_for_each_seed_and_the_same_for_the_same(
        write: Write) -> None:
    target = load(write("import torch\ntorch.manual_seed(7)\n" + WHOLE + "model = Net()"))

    def weights(seed: int) -> torch.Tensor:
        with seeded(seed):
            return target.make_model().fc.weight.detach().clone()  # type: ignore[union-attr, operator]

    assert target.reinitialises
    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


def test_a_slow_file_with_a_model_object_gives_exact_copies(
        write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.loading._QUICK_SECONDS", 0.2)
    file = write("import time\ntime.sleep(0.5)\n" + WHOLE + "model = Net()")
    target = load(file)

    with target.surroundings():
        own = sys.modules["model"].model

    assert not target.reinitialises and "takes too long" in target.notes[0]
    assert torch.equal(own.fc.weight, target.make_model().fc.weight)  # type: ignore[union-attr, arg-type]


def test_a_function_that_seeds_itself_is_seen(write: Write) -> None:
    target = load(write(WHOLE + "def build_model():\n    torch.manual_seed(0)\n    return Net()"))

    assert not target.reinitialises and "the same weights each time" in target.notes[0]


def test_a_function_that_hands_out_one_object_is_copied(write: Write) -> None:
    target = load(write(WHOLE + "shared = Net()\ndef build_model(): return shared"))

    steps(target)

    with target.surroundings():
        shared = sys.modules["model"].shared
    assert target.make_model() is not shared and shared.fc.weight.grad is None


def test_models_that_share_a_part_are_kept_apart(write: Write) -> None:
    file = write(WHOLE + """
shared = nn.Linear(4, 4)
def build_model(): return nn.Sequential(shared, nn.Linear(4, 2))
""")
    target = load(file)
    with target.surroundings():
        before = sys.modules["model"].shared.weight.detach().clone()

    steps(target)

    with target.surroundings():
        assert torch.equal(before, sys.modules["model"].shared.weight)


@pytest.mark.parametrize("wrapped", [
    "nn.utils.weight_norm(nn.Linear(4, 2))",
    "nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))",
    "nn.utils.spectral_norm(nn.Linear(4, 2))", "nn.LazyLinear(2)",
    "torch.jit.script(nn.Linear(4, 2))", "nn.DataParallel(nn.Linear(4, 2))",
    "torch.compile(nn.Linear(4, 2), backend='eager')",
])
@pytest.mark.filterwarnings("ignore")
def test_unusual_model_objects_are_copied(write: Write, wrapped: str) -> None:
    target = load(write(DATA + LOSS + f"model = {wrapped}"))

    assert len(steps(target)) == 3


# ---- the user's own objects afterwards


STATEFUL = WHOLE + """
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("seen", torch.zeros(()))
    def forward(self, output, target):
        self.seen += 1
        return F.cross_entropy(self.scale * output, target)
criterion = loss_fn = Scaled()
model = Net()
optimizer = torch.optim.SGD([*model.parameters(), *criterion.parameters()], lr=0.1)
"""


def test_a_loss_with_weights_is_trained_in_each_trial_and_put_back(write: Write) -> None:
    target = load(write(STATEFUL))
    with target.surroundings():
        criterion = sys.modules["model"].criterion
        with seeded(0):
            bench = Bench(target)
            for batch in BatchStore(target).cycled(3):
                bench.step(batch)
        assert criterion.scale != 1

    assert criterion.scale == 1 and criterion.seen == 0 and criterion.scale.grad is None


def test_a_step_that_uses_the_global_model_leaves_it_as_it_was(write: Write) -> None:
    target = load(write(WHOLE + """
model = nn.Sequential(nn.BatchNorm1d(4), Net()).eval()
def training_step(_, batch):
    model.train()
    return F.cross_entropy(model(batch[0]), batch[1])
"""))
    with target.surroundings():
        model = sys.modules["model"].model
        steps(target)

    assert not model.training and int(model[0].num_batches_tracked) == 0
    assert all(p.grad is None for p in model.parameters())


def test_the_process_is_as_it_was(write: Write) -> None:
    file = write("""
import os, random, sys, warnings
import numpy as np
sys.path.append("/nowhere"); sys.argv.append("x"); os.chdir("/")
warnings.simplefilter("error")
""" + WHOLE + """
torch.set_default_dtype(torch.float64)
torch.manual_seed(3); np.random.seed(3); random.seed(3)
torch.use_deterministic_algorithms(True)
x = x.double()
train_loader = DataLoader(TensorDataset(x, y), batch_size=8)
""")

    def state() -> tuple[Any, ...]:
        import random
        import warnings

        import numpy as np
        return (list(sys.path), list(sys.argv), os.getcwd(), list(warnings.filters),
                torch.get_default_dtype(), torch.get_rng_state().tolist(), random.getstate(),
                np.random.get_state()[1].tolist(), torch.are_deterministic_algorithms_enabled(),  # type: ignore[index]
                sys.dont_write_bytecode, nn.Module.__init__, "model" in sys.modules)

    before = state()
    target = load(file)
    assert state() == before
    steps(target)
    assert state() == before


def test_the_defaults_that_the_file_sets_hold_in_trials(write: Write) -> None:
    target = load(write("import torch\ntorch.set_default_dtype(torch.float64)" + WHOLE))

    assert target.make_model().fc.weight.dtype is torch.float64  # type: ignore[union-attr]
    assert len(steps(target)) == 3


def test_no_bytecode_is_left_beside_the_users_file(write: Write) -> None:
    write("width = 4", "settings.py")
    file = write("from settings import width\n" + WHOLE)

    load(file)

    assert not (Path(file).parent / "__pycache__").exists()


def test_what_the_audit_makes_itself_has_no_line_of_its_callers(write: Write) -> None:
    target = load(write(HEAD + LOSS + NET + "train_set = TensorDataset(x, y)"))

    assert target.loader_place is None
    assert "class Net" in target.places[""].code and "nn.Linear" in target.places["fc"].code


# ---- running the file


def test_neighbours_and_relative_imports_are_found(write: Write) -> None:
    write("", "project/__init__.py")
    write("", "project/nets/__init__.py")
    write(HEAD + NET, "project/nets/parts.py")
    write("width = 4", "project/nets/beside.py")
    file = write("from .parts import *\nfrom ..nets import parts\nimport beside\n"
                 + DATA + LOSS + "def build_model():\n    from .parts import Net\n    return Net()",
                 "project/nets/model.py")

    assert len(steps(load(file))) == 3


def test_two_projects_may_have_modules_of_the_same_name(write: Write) -> None:
    for width in (4, 5):
        write(f"width = {width}", f"p{width}/helper.py")
        write("from helper import width\n" + WHOLE + "def build_model():\n"
              "    import helper\n    return nn.Sequential(Net(), nn.Linear(2, helper.width))",
              f"p{width}/model.py")
    folder = Path(write("", "x")).parent
    first, second = load(str(folder / "p4/model.py")), load(str(folder / "p5/model.py"))

    assert [t.make_model()[1].out_features for t in (first, second, first)] == [4, 5, 4]  # type: ignore[index]


@pytest.mark.parametrize("name", [
    "html.py", "re.py", "auditor.py", "torch.py", "my model-2.py", "rules.py", "2nd.py",
])
def test_the_file_may_have_any_name(write: Write, name: str) -> None:
    assert len(steps(load(write(WHOLE, name)))) == 3


def test_a_neighbour_called_like_a_standard_module_is_the_users(write: Write) -> None:
    import profile

    write("width = 4", "profile.py")
    for other in ("html.py", "cProfile.py", "sympy.py", "winreg.py"):
        write("raise SystemExit('not this one')", other)
    target = load(write("from profile import width\n" + WHOLE))

    assert len(steps(target)) == 3
    assert sys.modules["profile"] is profile


def test_a_neighbour_called_auditor_is_refused_clearly(write: Write) -> None:
    write("width = 4", "auditor.py")

    with pytest.raises(TargetError, match="the auditor's own name"):
        load(write("from auditor import width\n" + WHOLE))


def test_a_module_is_found_from_the_working_folder(
        write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("", "package/__init__.py")
    file = write(WHOLE + "tiny = Net()", "package/nets.py")
    monkeypatch.chdir(Path(file).parent.parent)

    assert load("package.nets:tiny").names["model"] == "tiny"


def test_arguments_are_parsed_and_the_main_part_is_not_run(write: Write) -> None:
    target = load(write("""
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int, default=4)
args = parser.parse_args()
""" + WHOLE + "if __name__ == '__main__':\n    raise RuntimeError('training')"))

    assert len(steps(target)) == 3


def test_workers_of_a_loader_find_the_users_classes(write: Write) -> None:
    target = load(write(HEAD + LOSS + NET + """
class Points(Dataset):
    def __len__(self): return 16
    def __getitem__(self, i): return x[i], y[i]
train_loader = DataLoader(Points(), batch_size=4, num_workers=1,
                          multiprocessing_context="spawn", persistent_workers=True)
"""))
    with target.surroundings():
        assert len(steps(target)) == 3
        assert sys.modules["model"].train_loader._iterator is None


def test_the_loaders_generator_is_not_moved(write: Write) -> None:
    target = load(write(HEAD + LOSS + NET + """
g = torch.Generator().manual_seed(5)
train_loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True, generator=g)
"""))
    with target.surroundings():
        generator = sys.modules["model"].g
    before = generator.get_state()

    steps(target)

    assert torch.equal(before, generator.get_state())


def test_a_datasets_own_counters_are_not_moved(write: Write) -> None:
    target = load(write(HEAD + LOSS + NET + """
class Noisy(Dataset):
    def __init__(self): self.asked, self.noise = 0, torch.Generator().manual_seed(1)
    def __len__(self): return 16
    def __getitem__(self, i):
        self.asked += 1
        return x[i] + torch.randn(4, generator=self.noise), y[i]
train_set = Noisy()
"""))
    steps(target)

    with target.surroundings():
        assert sys.modules["model"].train_set.asked == 0


# ---- errors


def problem(file: str, **options: Any) -> TargetError:
    """Return what loading says."""
    with pytest.raises(TargetError) as caught:
        load(file, **options)
    assert caught.value.exit_code == 3
    return caught.value


def test_a_missing_file_is_answered_with_the_nearest(write: Write, tmp_path: Path) -> None:
    write(WHOLE, "model.py")

    said = problem(str(tmp_path / "modle.py"))

    assert "There is no file" in said.message and "model.py?" in said.hint
    assert "is a folder" in problem(str(tmp_path)).message
    assert "no module nowhere" in problem("nowhere").message


def test_a_syntax_error_shows_the_line(write: Write) -> None:
    said = problem(write("import torch\ndef broken(:\n    pass\n"))

    assert "SyntaxError" in said.message and "def broken(:" in said.where and ":2" in said.where


def test_an_error_at_import_quotes_the_users_line(write: Write) -> None:
    said = problem(write("import torch\nwidth = torch.zeros(3) @ torch.zeros(4)\n"))

    assert "running" in said.message.lower() and "torch.zeros(3) @" in said.where


def test_what_is_missing_is_said_with_what_was_found(write: Write) -> None:
    said = problem(write(HEAD + NET + "trainloader = 3"))

    assert "a loader of training data was not found" in said.message
    assert "Did you mean trainloader?" in said.hint and "--train-loader" in said.hint
    assert "a model was not found" in problem(write("width = 3")).message


def test_a_training_loop_at_import_is_recognised(
        write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.surroundings._TRAINING_SECONDS", 0.2)
    file = write(WHOLE + """
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
while True:
    for batch, target in train_loader:
        try:
            loss_fn(model(batch), target).backward()
            optimizer.step()
        except ValueError:
            pass
""")

    said = problem(file)

    assert isinstance(said, TargetTimeout) and "trains while it is imported" in said.message
    assert "optimizer.step()" in said.where and 'if __name__ == "__main__":' in said.hint


def test_a_file_that_never_ends_is_stopped_at_its_line(write: Write) -> None:
    said = problem(write("""
while True:
    try:
        sum(range(1000))
    except Exception:
        pass
"""), seconds=0.5)

    assert "does not come to its end" in said.message and "model.py:" in said.where
    assert "__main__" in said.hint


def test_a_short_training_at_import_is_noted(write: Write) -> None:
    target = load(write(WHOLE + """
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loss_fn(model(x), y).backward()
optimizer.step()
"""))

    assert "took 1 optimizer steps while it was imported" in target.notes[-1]


def test_a_file_that_exits_is_said(write: Write) -> None:
    assert "sys.exit(2)" in problem(write("import sys\nsys.exit(2)")).message


def test_an_interrupt_is_passed_on(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        load(write("raise KeyboardInterrupt"))


@pytest.mark.parametrize(("source", "message"), [
    ("def build_model(width): return Net()", "build_model() needs width"),
    ("def build_model(): return 3", "build_model() gave a int, not a model"),
    ("def build_model(): raise ValueError('no weights')", "ValueError: no weights"),
    ("def optimizer(model): return 'adam'", "optimizer() gave a str, not a torch optimizer"),
    ("def optimizer(model): return model.nothing", "has no attribute 'nothing'"),
    ("def train_loader(): return 3", "train_loader is a int, which cannot be iterated over"),
    ("def loss_fn(): return 3", "loss_fn() gave a int, not a loss function"),
])
def test_things_of_a_wrong_kind_are_said(write: Write, source: str, message: str) -> None:
    assert message in problem(write(WHOLE + source)).message


def test_an_unknown_device_is_said(write: Write) -> None:
    assert "cannot be used" in problem(write(WHOLE), device="toaster").message


# ---- the first check


def failed_check(file: str) -> TargetError:
    """Return what the first pass says."""
    target = load(file)
    with pytest.raises(TargetError) as caught:
        check(target, BatchStore(target))
    return caught.value


def test_the_first_check_returns_loss_and_output(write: Write) -> None:
    target = load(write(WHOLE))

    result = check(target, BatchStore(target))

    assert result.loss.dim() == 0 and result.output.shape == (8, 2)


@pytest.mark.parametrize(("source", "message", "where"), [
    ("train_loader = DataLoader(TensorDataset(x, y), batch_size=50, drop_last=True)",
     "The training loader is empty", ""),
    ("train_loader = []", "The training loader is empty", ""),
    ("loss_fn = nn.CrossEntropyLoss(reduction='none')", "no scalar: its shape is (8,)", ""),
    ("def loss_fn(output, target): return F.cross_entropy(output, target).item()",
     "The loss is a float, not a tensor", ""),
    ("def build_model(): return nn.Sequential(nn.Linear(5, 2))", "shapes cannot be multiplied", ""),
    ("def training_step(model, batch):\n    raise KeyError('pixels')", "KeyError: 'pixels'",
     "raise KeyError('pixels')"),
    ("def train_loader():\n    raise OSError('disk')\n    yield", "OSError: disk", "disk"),
])
def test_a_first_pass_that_fails_says_why(
        write: Write, source: str, message: str, where: str) -> None:
    said = failed_check(write(WHOLE + source))

    assert message in said.message and where in said.where


def test_a_failing_forward_is_told_with_its_layer_and_the_batch(write: Write) -> None:
    said = failed_check(write(WHOLE + """
def build_model():
    return nn.Sequential(
        nn.Linear(4, 3),
        nn.Linear(5, 2),
    )
"""))

    assert said.hint == "It failed in 1 (Linear). The batch holds: float32 (8, 4), int64 (8,)."
    assert "nn.Linear(5, 2)," in said.where


def test_a_failing_loss_is_told_with_the_users_line(write: Write) -> None:
    said = failed_check(write(WHOLE + """
def loss_fn(output, target):
    return F.cross_entropy(output, target.float() + output)
"""))

    assert "target.float() + output" in said.where and said.hint.startswith("The batch holds")


def test_a_loader_that_hangs_is_stopped(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.store.FETCH_SECONDS", 0.3)

    said = failed_check(write(WHOLE + """
def train_loader():
    import time
    while True:
        time.sleep(0.05)
    yield
"""))

    assert "did not end within" in said.message and "time.sleep" in said.where


def test_a_target_in_the_file_is_taken_as_it_is(write: Write) -> None:
    target = load(write(WHOLE + """
from auditor.target import Target, WithLossFunction
ready = Target(
    name="Mine", file="", make_model=Net, make_train_loader=lambda: train_loader,
    compute=WithLossFunction(loss_fn), kind="loss",
    make_optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.3))
"""))

    assert target.name == "Mine" and target.file.endswith("model.py")
    assert isinstance(target.make_train_loader(), DataLoader) and len(steps(target)) == 3
