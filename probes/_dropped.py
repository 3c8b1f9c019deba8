"""What a module computes and drops: a layer runs, and the forward that calls it uses none of it.

A head that is returned and that no loss reads is no fault: encoders have poolers, detectors give
more than one loss takes. What does not even leave the forward in which it was computed is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as hooks

from ._flow import Flow


class Returned:
    """Which parameters stand behind what the modules return.

    Args:
        model: Whose calls are looked at.
        parameters: Its parameters by name, in the order of the flow's sources.
    """

    def __init__(self, model: nn.Module, parameters: Mapping[str, Tensor]) -> None:
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._bits = {name: 1 << index for index, name in enumerate(parameters)}
        self._values: dict[str, int] = {}

    @contextmanager
    def watching(self, flow: Flow) -> Iterator[None]:
        """Look at the calls of one pass; no hook is left behind."""
        self._values.clear()

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            path = self._paths.get(id(module))
            if path is not None:
                self._values[path] = self._values.get(path, 0) | flow.of(output).values

        handle = hooks.register_module_forward_hook(leave)
        try:
            yield
        finally:
            handle.remove()

    def dropped(self, name: str, taking_part: int) -> tuple[str, str] | None:
        """Return who computes something with a parameter and who drops all of it, as paths.

        Args:
            name: Of the parameter.
            taking_part: Bits of the parameters that the loss is computed from.
        """
        path, inner = name.rpartition(".")[0], None
        while True:
            if path in self._values:
                if (inner is not None and not self._values[path] & self._bits[name]
                        and not taking_part & self._below(inner)):
                    return inner, path
                inner = path
            if not path:
                return None
            path = path.rpartition(".")[0]

    def _below(self, path: str) -> int:
        return sum(bit for name, bit in self._bits.items() if name.startswith(f"{path}."))
