"""What is wrong with a user's file is said in their words, with their line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from userfiles import HEAD, NET, WHOLE, Write, writer

from auditor.errors import TargetError, TargetTimeout
from auditor.loading import check, load
from auditor.store import BatchStore


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


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
