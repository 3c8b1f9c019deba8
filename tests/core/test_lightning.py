"""A LightningModule is trained by its own step, without a Trainer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
import torch

from auditor.errors import TargetError
from auditor.isolation import seeded
from auditor.loading import load
from auditor.store import BatchStore
from auditor.target import Target
from auditor.trial import Bench

pytest.importorskip("lightning")

HEAD = """
import lightning as L
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long()
data = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)
"""
LOADER = "train_loader = data\n"
NET = """
class Net(L.LightningModule):
    def __init__(self, width=4):
        super().__init__()
        self.save_hyperparameters()
        self.fc = nn.Linear(width, 2)
    def forward(self, x): return self.fc(x)
    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("loss", loss, prog_bar=True)
        self.log_dict({"again": loss, "epoch": self.current_epoch})
        return loss
"""
OPTIMIZER = """
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.25)
"""

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writing(source: str) -> str:
        file = tmp_path / "model.py"
        file.write_text(dedent(source), encoding="utf-8")
        return str(file)

    return writing


def steps(target: Target, count: int = 3) -> list[float]:
    store = BatchStore(target)
    with target.surroundings(), seeded(0):
        bench = Bench(target)
        losses = [bench.step(batch) for batch in store.cycled(count)]
    store.close()
    return losses


def test_its_own_step_and_optimizer_train_it(write: Write) -> None:
    target = load(write(HEAD + LOADER + NET + OPTIMIZER))

    assert (target.kind, target.names["optimizer"]) == ("step", "configure_optimizers")
    losses = steps(target, 20)
    assert losses[-1] < losses[0] and target.reinitialises
    assert "def training_step" in target.loss_place.code  # type: ignore[union-attr]


@pytest.mark.parametrize(("returned", "with_schedule"), [
    ("o", False), ("[o]", False), ("([o], [])", False), ("{'optimizer': o}", False),
    ("({'optimizer': o},)", False), ("([o], [s])", True), ("o, s", True),
    ("{'optimizer': o, 'lr_scheduler': s}", True),
    ("{'optimizer': o, 'lr_scheduler': {'scheduler': s, 'interval': 'step'}}", True),
    ("([o], [{'scheduler': s, 'monitor': 'loss'}])", True),
])
def test_every_shape_of_configure_optimizers_is_read(
        write: Write, returned: str, with_schedule: bool) -> None:
    schedule = "s = torch.optim.lr_scheduler.LinearLR(o, 0.1, total_iters=20)"
    schedule = schedule if with_schedule else "pass"
    target = load(write(HEAD + LOADER + NET + f"""
    def configure_optimizers(self):
        o = torch.optim.SGD(self.parameters(), lr=0.25)
        {schedule}
        return {returned}
"""))

    with target.surroundings(), seeded(0):
        bench = Bench(target)

    assert bench.lr == pytest.approx(0.25)
    assert bench.schedule.warms_up == with_schedule
    assert len(steps(target)) == 3


def test_the_length_of_the_training_is_read_off_the_trainer_in_the_guard(write: Write) -> None:
    target = load(write(HEAD + LOADER + NET + """
    def configure_optimizers(self):
        o = torch.optim.SGD(self.parameters(), lr=0.25)
        total = self.trainer.estimated_stepping_batches
        return [o], [torch.optim.lr_scheduler.OneCycleLR(o, 0.5, total_steps=total)]
if __name__ == "__main__":
    L.Trainer(max_epochs=7).fit(Net(), data)
"""))

    with target.surroundings(), seeded(0):
        bench = Bench(target)

    assert len(bench.schedule.values) == 7 * 5


def test_the_trainers_clipping_holds_in_trials(write: Write) -> None:
    target = load(write(HEAD + LOADER + NET + OPTIMIZER + """
if __name__ == "__main__":
    L.Trainer(gradient_clip_val=0.001).fit(Net(), data)
"""))

    with target.surroundings(), seeded(0):
        bench = Bench(target)
        before = bench.model.fc.weight.detach().clone()  # type: ignore[union-attr, operator]
        bench.step(BatchStore(target).train(1)[0])
        moved = (bench.model.fc.weight - before).norm()  # type: ignore[union-attr, operator]

    assert float(moved.detach()) <= 0.25 * 0.001 * 1.01


@pytest.mark.parametrize("source", [
    """
class Data(L.LightningDataModule):
    def setup(self, stage): self.sets = TensorDataset(x, y)
    def train_dataloader(self): return DataLoader(self.sets, batch_size=8)
    def val_dataloader(self): return [DataLoader(self.sets, batch_size=40)]
""",
    """
class Data(L.LightningDataModule):
    def __init__(self, size):
        super().__init__()
        self.size = size
    def train_dataloader(self): return DataLoader(TensorDataset(x, y), batch_size=self.size)
    def val_dataloader(self): return DataLoader(TensorDataset(x, y), batch_size=40)
dm = Data(8)
""",
])
def test_a_data_module_gives_the_data(write: Write, source: str) -> None:
    target = load(write(HEAD + source + NET + OPTIMIZER))
    store = BatchStore(target)

    assert (store.train(1)[0][0].shape[0], store.val(1)[0][0].shape[0]) == (8, 40)
    assert len(steps(target)) == 3


def test_the_modules_own_loaders_are_used(write: Write) -> None:
    target = load(write(HEAD + NET + OPTIMIZER + """
    def train_dataloader(self): return data
    def val_dataloader(self): return data
"""))

    assert target.names["train_loader"] == "Net.train_dataloader" and len(steps(target)) == 3


def test_several_data_modules_are_named(write: Write) -> None:
    with pytest.raises(TargetError, match="several DataModules could give the data: One, Two"):
        load(write(HEAD + "class One(L.LightningDataModule): pass\n"
                   "class Two(L.LightningDataModule): pass\n" + NET + OPTIMIZER))


def test_manual_optimization_is_refused_with_a_way_out(write: Write) -> None:
    with pytest.raises(TargetError, match="optimizes by hand") as caught:
        load(write(HEAD + LOADER + NET.replace(
            "self.save_hyperparameters()", "self.automatic_optimization = False") + OPTIMIZER))

    assert "training_step(model, batch)" in caught.value.hint


def test_several_optimizers_are_refused(write: Write) -> None:
    with pytest.raises(TargetError, match="gives 2 optimizers"):
        load(write(HEAD + LOADER + NET + """
    def configure_optimizers(self):
        return [torch.optim.SGD(self.parameters(), lr=0.25) for _ in range(2)]
"""))


def test_a_step_may_use_its_trainer_and_logger(write: Write) -> None:
    target = load(write(HEAD + LOADER + """
class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
    def setup(self, stage): self.scale = 1.0 if stage == "fit" else None
    def on_after_batch_transfer(self, batch, dataloader_idx): return batch[0] * self.scale, batch[1]
    def training_step(self, batch):
        self.logger.experiment.add_histogram("w", self.fc.weight, self.global_step)
        self.print("step", self.trainer.max_epochs, self.trainer.world_size)
        if self.trainer.is_global_zero and not self.trainer.sanity_checking:
            return {"loss": F.cross_entropy(self.fc(batch[0]), batch[1]), "n": 1}
""" + OPTIMIZER))

    assert len(steps(target)) == 3


def test_a_module_object_is_copied_and_stays_without_a_trainer(write: Write) -> None:
    target = load(write(HEAD + LOADER + NET + OPTIMIZER + "model = Net()\n"))
    steps(target)

    with target.surroundings():
        own = sys.modules["model"].model
    assert own._trainer is None and "log" not in vars(own) and own.fc.weight.grad is None
    assert not torch.equal(own.fc.weight, target.make_model().fc.weight)  # type: ignore[union-attr, arg-type]


def test_a_module_without_a_step_of_its_own_is_an_ordinary_model(write: Write) -> None:
    target = load(write(HEAD + LOADER + """
loss_fn = nn.CrossEntropyLoss()
class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
    def forward(self, x): return self.fc(x)
"""))

    assert target.kind == "loss" and not target.optimizer_given and len(steps(target)) == 3
