"""With how many bits float32 is computed: the settings of torch, old and new, for every backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

# Groups of `torch.backends` with a setting of their own, outer before inner: setting an outer one
# sets the inner ones too.
_GROUPS = ("", "cuda.matmul", "cudnn", "cudnn.conv", "cudnn.rnn", "mkldnn", "mkldnn.matmul",
           "mkldnn.conv", "mkldnn.rnn")
_NAME = "fp32_precision"


@dataclass(frozen=True)
class Precision:
    """The settings as they were.

    Attributes:
        matmul: Of `torch.set_float32_matmul_precision`; None once new and old settings are mixed,
            where torch refuses to say it.
        cudnn_tf32: `torch.backends.cudnn.allow_tf32`; None likewise.
        groups: Group -> `fp32_precision`; empty before torch 2.9, which brought it.
    """

    matmul: str | None
    cudnn_tf32: bool | None
    groups: dict[str, str]

    @classmethod
    def now(cls) -> Precision:
        """Return them as they are."""
        return cls(_said(torch.get_float32_matmul_precision), _said(_cudnn_tf32),
                   {name: group.fp32_precision for name, group in _groups()})

    def apply(self) -> None:
        """Put them in place, as far as they differ."""
        if Precision.now() == self:
            return
        self._apply_groups()
        if self.matmul is not None and _said(torch.get_float32_matmul_precision) != self.matmul:
            torch.set_float32_matmul_precision(self.matmul)
            # The old call sets some of the groups.
            self._apply_groups()
        if self.cudnn_tf32 is not None and _said(_cudnn_tf32) != self.cudnn_tf32:
            torch.backends.cudnn.allow_tf32 = self.cudnn_tf32

    def _apply_groups(self) -> None:
        for name, group in _groups():
            if group.fp32_precision != self.groups[name]:
                group.fp32_precision = self.groups[name]


@lru_cache(maxsize=1)
def _groups() -> tuple[tuple[str, Any], ...]:
    """Return the groups that this torch has; every seeded piece of an audit reads them."""
    found = []
    for name in _GROUPS:
        group: Any = torch.backends
        for part in name.split(".") if name else ():
            group = getattr(group, part, None)
        if hasattr(group, _NAME):
            found.append((name, group))
    return tuple(found)


def _cudnn_tf32() -> bool:
    return torch.backends.cudnn.allow_tf32


def _said(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except RuntimeError:
        # Torch does not answer in the old words after the new ones were used.
        return None
