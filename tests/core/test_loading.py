"""A user's file becomes a target, whatever it holds under the usual names."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch.utils.data import DataLoader
from userfiles import DATA, HEAD, LOSS, NET, WHOLE, Write, steps, writer

from auditor import batches
from auditor.errors import TargetError
from auditor.loading import load
from auditor.store import BatchStore


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


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
    assert target.loss_place is not None


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


def test_a_loss_with_class_weights_follows_the_trials_to_their_device(write: Write) -> None:
    target = load(write(DATA + NET + "loss_fn = nn.CrossEntropyLoss(torch.tensor([1.0, 2.0]))"),
                  device="meta")

    assert target.loss_fn.weight.is_meta and target.make_model().fc.weight.device.type == "cpu"  # type: ignore[union-attr]
