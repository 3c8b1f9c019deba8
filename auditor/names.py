"""The names under which a user's file holds its model, data, loss and optimizer."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset

from auditor import rolenames
from auditor.errors import TargetError
from auditor.usercode import is_users

_MISSING = object()


@dataclass(frozen=True)
class Role:
    """One thing that an audit needs of the user's file.

    Attributes:
        name: As in `Target.names` and in the command line's options.
        says: In words, with its article.
        names: That are looked up, first one first.
        fits: Whether a value can play the role.
    """

    name: str
    says: str
    names: tuple[str, ...]
    fits: Callable[[Any], bool]


@dataclass(frozen=True)
class Found:
    """What plays a role."""

    name: str
    value: Any


class Namespace:
    """The names of the user's file, with those that the user has chosen for some roles.

    Args:
        file: As the user wrote it, for messages.
        values: Of the module.
        chosen: Role -> name; a name may have dots.
    """

    def __init__(self, file: str, values: Mapping[str, Any], chosen: Mapping[str, str]) -> None:
        self.file = file
        self.values = values
        self._chosen = dict(chosen)

    def choose(self, role: str, name: str) -> None:
        """Let a name play a role, unless the user has chosen another."""
        self._chosen.setdefault(role, name)

    def find(self, role: Role) -> Found | None:
        """Return what plays the role; None when no name of the table does.

        Raises:
            TargetError: The user has chosen a name that does not exist or does not fit.
        """
        chosen = self._chosen.get(role.name)
        if chosen is not None:
            value = self.resolve(chosen)
            if not role.fits(value):
                raise TargetError(
                    f"{self.file}: {chosen} is a {type(value).__name__}, not {role.says}.",
                    hint=f"Name another with --{role.name.replace('_', '-')} NAME.",
                )
            return Found(chosen, value)
        for name in role.names:
            value = self.values.get(name, _MISSING)
            if value is not _MISSING and role.fits(value) and not _is_tool(name, value):
                return Found(name, value)
        return None

    def resolve(self, name: str) -> Any:
        """Return the object of a name that may have dots.

        Raises:
            TargetError: There is none.
        """
        first, *rest = name.split(".")
        value = self.values.get(first, _MISSING)
        for part in rest:
            value = getattr(value, part, _MISSING)
        if value is _MISSING:
            raise TargetError(
                f"{self.file}: there is no {name}.", hint=self.nearest(name) or self.inventory(),
            )
        return value

    def missing(self, role: Role) -> TargetError:
        """Return the error that says that nothing plays the role, and what the file holds."""
        wrong = [
            f"{name} is a {type(self.values[name]).__name__}"
            for name in role.names if name in self.values
        ]
        looked = ", ".join(role.names)
        near = next((n for n in map(self.nearest, role.names) if n), "")
        parts = [
            f"The audit looks for {looked}.",
            near or self.inventory(),
            f"Name yours with --{role.name.replace('_', '-')} NAME.",
        ]
        said = f" ({'; '.join(wrong)})" if wrong else ""
        return TargetError(f"{self.file}: {role.says} was not found{said}.", hint=" ".join(parts))

    def nearest(self, name: str) -> str:
        """Return a question with the name in the file that looks most like this one."""
        near = difflib.get_close_matches(name.partition(".")[0], self.public(), n=1, cutoff=0.75)
        return f"Did you mean {near[0]}?" if near else ""

    def inventory(self, most: int = 12) -> str:
        """Return a sentence that lists the names in the file."""
        names = self.public()
        if not names:
            return "The file defines no names."
        more = f" and {len(names) - most} more" if len(names) > most else ""
        return f"The file holds {', '.join(names[:most])}{more}."

    def public(self) -> list[str]:
        """Return the names that the file itself defines, modules left out."""
        return [
            name for name, value in self.values.items()
            if not name.startswith("_") and not isinstance(value, ModuleType)
            and _stems_from_user(value, self.values.get("__name__", ""))
        ]


def _stems_from_user(value: Any, module: str) -> bool:
    """Tell whether a class or function is defined in the file; other values always are."""
    if isinstance(value, type) or callable(value) and hasattr(value, "__qualname__"):
        return getattr(value, "__module__", "") == module
    return True


def _is_tool(name: str, value: Any) -> bool:
    """Tell whether a library's function was only imported (`from timm import create_model`)."""
    if getattr(value, "__name__", "") != name:
        return False
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    return module is not None and not is_users(file or "<built-in>")


def _makes(value: Any) -> bool:
    return callable(value) and not isinstance(value, (type, nn.Module, ModuleType, Tensor))


def _is_model(value: Any) -> bool:
    return isinstance(value, nn.Module) or _is_model_class(value) or _makes(value)


def _is_model_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def _is_data(value: Any) -> bool:
    if isinstance(value, (str, bytes, Tensor, ModuleType, nn.Module, type)):
        return isinstance(value, type) and issubclass(value, Dataset)
    return hasattr(value, "__iter__") or hasattr(value, "__getitem__") or callable(value)


def _is_loss(value: Any) -> bool:
    return callable(value) and (not isinstance(value, type) or _is_model_class(value))


def _is_optimizer(value: Any) -> bool:
    if isinstance(value, type):
        return issubclass(value, Optimizer)
    return isinstance(value, Optimizer) or _makes(value)


def _is_scheduler(value: Any) -> bool:
    return not isinstance(value, type) and (hasattr(value, "step") or _makes(value))


MODEL = Role("model", "a model", rolenames.MODEL, _is_model)
TRAIN_LOADER = Role("train_loader", "a loader of training data", rolenames.TRAIN_LOADER, _is_data)
VAL_LOADER = Role("val_loader", "a loader of validation data", rolenames.VAL_LOADER, _is_data)
LOSS = Role("loss", "a loss function", rolenames.LOSS, _is_loss)
STEP = Role("step", "a training step", rolenames.STEP, _makes)
OPTIMIZER = Role("optimizer", "an optimizer", rolenames.OPTIMIZER, _is_optimizer)
SCHEDULER = Role("scheduler", "a scheduler", rolenames.SCHEDULER, _is_scheduler)
ROLES = (MODEL, TRAIN_LOADER, VAL_LOADER, LOSS, STEP, OPTIMIZER, SCHEDULER)
