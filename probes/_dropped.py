"""What a module computes and drops: a layer runs, and the forward that calls it uses none of it.

A head that is returned and that no loss reads is no fault: encoders have poolers, detectors give
more than one loss takes. What does not even leave the forward in which it was computed is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from auditor.modulehooks import on_calls

from ._flow import Flow

_EVERYTHING = -1


class Returned:
    """Which parameters stand behind what the modules return, and who called whom.

    Args:
        model: Whose calls are looked at.
        parameters: Its parameters by name, in the order of the flow's sources.
    """

    def __init__(self, model: nn.Module, parameters: Mapping[str, Tensor]) -> None:
        self._modules = dict(model.named_modules())
        self._paths = {id(module): path for path, module in self._modules.items()}
        self._bits = {name: 1 << index for index, name in enumerate(parameters)}
        self._values: dict[str, int] = {}
        self._callers: dict[str, set[str | None]] = {}
        self._kept = 0

    @contextmanager
    def watching(self, flow: Flow) -> Iterator[None]:
        """Look at the calls of one pass; no hook is left behind."""
        self._values.clear()
        self._callers.clear()
        inside: list[str] = []

        def enter(module: nn.Module, args: Any) -> None:
            path = self._paths.get(id(module))
            if path is not None:
                self._callers.setdefault(path, set()).add(inside[-1] if inside else None)
                inside.append(path)

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            path = self._paths.get(id(module))
            if path is not None and inside and inside[-1] == path:
                inside.pop()
                bits = flow.of(output).values if _is_open(output) else _EVERYTHING
                self._values[path] = self._values.get(path, 0) | bits

        with on_calls(enter, leave):
            yield
        # What a module keeps is read later, by the next pass or by the step.
        self._kept = flow.of([
            value for module in self._modules.values() for key, value in vars(module).items()
            if key not in ("_parameters", "_modules")]).values

    def dropped(self, name: str, left: int) -> tuple[str, str] | None:
        """Return who computes something with a parameter and who drops all of it, as paths.

        Args:
            name: Of the parameter.
            left: Bits of the parameters that the loss is computed from, or that Python was told of.
        """
        left |= self._kept
        path = name.rpartition(".")[0]
        while path:
            callers = self._callers.get(path, {None})
            if not left & self._below(path) and all(
                    caller is not None and not self._values.get(caller, _EVERYTHING)
                    & self._bits[name] for caller in callers):
                return path, min(map(str, callers))
            path = path.rpartition(".")[0]
        return None

    def _below(self, path: str) -> int:
        return sum(bit for name, bit in self._bits.items() if name.startswith(f"{path}."))


def alike(name: str) -> str:
    """Return what the name of a parameter shares with those of its place in other blocks."""
    return re.sub(r"(?<=\.)\d+(?=\.)|^\d+(?=\.)", "*", name)


def _is_open(output: Any) -> bool:
    """Tell whether all tensors of an output can be found: it is no object of the user's."""
    if isinstance(output, (list, tuple)):
        return all(map(_is_open, output))
    if isinstance(output, dict):
        return all(map(_is_open, output.values()))
    return (output is None or isinstance(output, (Tensor, bool, int, float, str))
            or hasattr(output, "__dataclass_fields__"))
