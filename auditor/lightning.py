"""LightningModules and DataModules: trained by their own step, without a Trainer.

Nothing of Lightning is imported: a module is one of its kind when Lightning is loaded and says so.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer

from auditor.calls import accepts, required_names
from auditor.errors import TargetError
from auditor.names import Found, Namespace
from auditor.optimizers import held_by
from auditor.target import LossResult, as_loss, loss_in
from auditor.usercode import user_code

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")
# Steps often log pictures `if batch_idx % n == 0`; the second batch of an epoch is an ordinary one.
_BATCH_INDEX = 1
_ASSUMED_EPOCHS = 10


def is_lightning(model: object) -> bool:
    """Tell whether a model is a LightningModule."""
    return isinstance(model, _classes("LightningModule"))


def trains_itself(model: nn.Module) -> bool:
    """Tell whether a model is a LightningModule with a training step of its own."""
    return is_lightning(model) and _overrides(model, "training_step", "LightningModule")


@dataclass(frozen=True)
class WithLightningStep:
    """The `training_step(batch, batch_idx)` of the model itself."""

    def __call__(self, model: Any, batch: Any) -> LossResult:
        """Return the loss of one batch; `output` is what the step returned.

        Raises:
            TargetError: The step returned no scalar loss.
        """
        batch = model.on_after_batch_transfer(model.on_before_batch_transfer(batch, 0), 0)
        arguments = (batch, _BATCH_INDEX) if accepts(model.training_step, 2) else (batch,)
        result = model.training_step(*arguments)
        return LossResult(as_loss(loss_in(result)), result)


class Attachment:
    """Stands in for the Trainer: attaches models, and knows how long the training is.

    Args:
        namespace: Of the user's file.
    """

    def __init__(self, namespace: Namespace) -> None:
        self.settings = _trainer_settings(namespace)
        epochs = self.settings.get("max_epochs")
        self._trainer = StandInTrainer(epochs if isinstance(epochs, int) else _ASSUMED_EPOCHS)

    def know_length(self, loader: Any) -> None:
        """Tell the schedule how many batches an epoch has, as far as that is known."""
        try:
            self._trainer.num_training_batches = len(loader)
        except TypeError:
            # A stream has no length; the schedule keeps the assumed one.
            return

    def attach(self, model: nn.Module) -> nn.Module:
        """Let a fresh model run without a Trainer; returns it.

        Raises:
            TargetError: The model optimizes by hand.
        """
        for module in model.modules():
            if is_lightning(module):
                own = vars(module)
                own["_trainer"] = self._trainer
                own["log"] = own["log_dict"] = own["print"] = _ignore
        if is_lightning(model):
            self._set_up(model)
        return model

    def _set_up(self, model: Any) -> None:
        if not model.automatic_optimization:
            raise TargetError(
                f"{type(model).__name__} optimizes by hand (automatic_optimization = False), and "
                "the audit cannot follow that.",
                hint="Write a function training_step(model, batch) that returns the loss, and "
                     "optimizer(model) beside it.",
            )
        with user_code(f"setting up {type(model).__name__}"):
            model.setup("fit")
            if hasattr(model, "configure_model"):
                model.configure_model()

    def clip(self, optimizer: Optimizer) -> Optimizer:
        """Let an optimizer clip as the file's Trainer would; returns it."""
        limit = self.settings.get("gradient_clip_val")
        if not isinstance(limit, (int, float)) or not limit:
            return optimizer
        by_value = self.settings.get("gradient_clip_algorithm") == "value"
        cut = nn.utils.clip_grad_value_ if by_value else nn.utils.clip_grad_norm_

        def before_step(stepped: Optimizer, *_: Any) -> None:
            cut(list(held_by(stepped)), float(limit))

        optimizer.register_step_pre_hook(before_step)
        return optimizer


class StandInTrainer:
    """What models ask a Trainer for outside of its loops."""

    current_epoch = 0
    global_step = 0
    is_global_zero = True
    training = True
    sanity_checking = validating = testing = predicting = False
    world_size = num_devices = num_nodes = 1
    accumulate_grad_batches = 1
    global_rank = local_rank = 0
    gradient_clip_val = None
    progress_bar_callback = None
    datamodule = None
    train_dataloader = None
    max_steps = -1

    def __init__(self, max_epochs: int) -> None:
        self.max_epochs = max_epochs
        self.num_training_batches = 100
        self.optimizers: list[Any] = []
        self.lr_scheduler_configs: list[Any] = []
        self.callback_metrics: dict[str, Any] = {}
        self.logged_metrics: dict[str, Any] = {}
        self.callbacks: list[Any] = []
        self.loggers: list[Any] = []
        self.logger = Silent()

    @property
    def estimated_stepping_batches(self) -> int:
        """Steps of the whole training."""
        return self.max_epochs * self.num_training_batches


class Silent:
    """Takes every call and attribute, and does nothing (a logger that nobody reads)."""

    def __getattr__(self, name: str) -> Silent:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Silent:
        """Return itself."""
        return self


def optimizer_of(model: nn.Module) -> Found | None:
    """Return the model's `configure_optimizers` as a function of the model."""
    if not (is_lightning(model) and _overrides(model, "configure_optimizers", "LightningModule")):
        return None
    return Found("configure_optimizers", lambda model: model.configure_optimizers())


def loaders_of(
    model: nn.Module, namespace: Namespace,
) -> tuple[Found | None, Found | None]:
    """Return what makes training and validation data: the model itself, or a DataModule."""
    owner, name = model, type(model).__name__
    if not _overrides(owner, "train_dataloader", "LightningModule"):
        found = _data_module(namespace)
        if found is None:
            return None, None
        owner, name = _ready(found), found.name
    kind = "LightningModule" if owner is model else "LightningDataModule"
    makers = (
        Found(f"{name}.{method}", _first_of(getattr(owner, method)))
        if _overrides(owner, method, kind) else None
        for method in ("train_dataloader", "val_dataloader")
    )
    return next(makers), next(makers)


def _first_of(make: Callable[[], Any]) -> Callable[[], Any]:
    def first() -> Any:
        made = make()
        return made[0] if isinstance(made, Sequence) and len(made) else made

    return first


def _data_module(namespace: Namespace) -> Found | None:
    """Return the file's DataModule: an object, or the only class that needs no arguments.

    Raises:
        TargetError: There are several.
    """
    kind = _classes("LightningDataModule")
    values = [Found(n, v) for n, v in namespace.values.items() if not n.startswith("_")]
    objects = [f for f in values if isinstance(f.value, kind)]
    classes = [
        f for f in values
        if inspect.isclass(f.value) and issubclass(f.value, kind) and f.value not in kind
        and not required_names(f.value)
    ]
    found = objects or classes
    if len(found) > 1:
        names = ", ".join(f.name for f in found)
        raise TargetError(
            f"{namespace.file}: several DataModules could give the data: {names}.",
            hint="Write train_loader = NAME.train_dataloader for the one that is meant.",
        )
    return found[0] if found else None


def _ready(found: Found) -> Any:
    with user_code(f"setting up {found.name}"):
        # Setting up writes into the object; the user's own stays as it is.
        made = inspect.isclass(found.value)
        module: Any = found.value() if made else copy.copy(found.value)
        module.prepare_data()
        module.setup("fit")
    return module


def _classes(name: str) -> tuple[type[Any], ...]:
    loaded = (sys.modules.get(package) for package in _PACKAGES)
    return tuple(getattr(package, name) for package in loaded if hasattr(package, name))


def _overrides(owner: object, method: str, kind: str) -> bool:
    """Tell whether a class of the user's has a method of its own instead of the library's."""
    own = getattr(type(owner), method, None)
    return own is not None and all(own is not getattr(c, method, None) for c in _classes(kind))


def _trainer_settings(namespace: Namespace) -> dict[str, Any]:
    """Return the plain numbers and words that the file gives its Trainer, also in its guard."""
    settings: dict[str, Any] = {}
    for call in _trainer_calls(namespace.values.get("__file__", "")):
        for keyword in call.keywords:
            if keyword.arg and isinstance(keyword.value, ast.Constant):
                settings[keyword.arg] = keyword.value.value
    return settings


def _trainer_calls(file: str) -> Iterator[ast.Call]:
    with open(file, "rb") as source:
        tree = ast.parse(source.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name == "Trainer":
                yield node


def _ignore(*args: Any, **kwargs: Any) -> None:
    """Take what a model logs, and drop it."""
