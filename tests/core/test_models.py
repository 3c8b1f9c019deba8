"""Each trial has a fresh model, and the user's own objects stay as they are."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import torch
from userfiles import DATA, LOSS, WHOLE, Write, steps, writer

from auditor.isolation import seeded
from auditor.loading import load
from auditor.store import BatchStore
from auditor.trial import Bench

# Compiling takes much longer, even of one layer.
EAGER_SECONDS = 5.0


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


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
    "torch.compile(nn.Linear(4, 2))",
])
@pytest.mark.filterwarnings("ignore")
def test_unusual_model_objects_are_copied(write: Write, wrapped: str) -> None:
    target = load(write(DATA + LOSS + f"model = {wrapped}"))

    assert len(steps(target)) == 3




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


def test_a_compiled_model_is_tried_eagerly_under_the_users_names(write: Write) -> None:
    target = load(write(WHOLE + """
class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
        self.compile()
    def forward(self, x): return torch.compile(self.fc)(x)
model = torch.compile(Inner())
"""))
    torch.compiler.reset()

    begin = time.monotonic()
    steps(target)

    assert "fc" in target.places and time.monotonic() - begin < EAGER_SECONDS
