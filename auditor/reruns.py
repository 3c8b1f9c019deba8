"""Other initialisations of a model that the user's file holds as an object."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from io import StringIO
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from auditor.isolation import seeded

# States of this many bytes are kept, so that a seed which comes again costs no second run.
_BYTE_LIMIT = 1 << 29
_SEED_LIMIT = 2**31


class Reruns:
    """Runs the file again under other seeds, and takes the numbers of its model.

    Only the numbers: the classes of a second run are other classes than those that the user's
    optimizer and step compare with.

    Args:
        run_again: Runs the file and returns its module.
        find: Returns the model in the names of a run.
    """

    def __init__(
        self, run_again: Callable[[], ModuleType], find: Callable[[Mapping[str, Any]], nn.Module],
    ) -> None:
        self._run_again = run_again
        self._find = find
        self._states: OrderedDict[int, dict[str, Tensor]] = OrderedDict()

    def state(self) -> dict[str, Tensor]:
        """Return the model's numbers under a seed that is drawn from torch's generator.

        Raises:
            TargetError: The file did not run again, or not in time.
        """
        seed = int(torch.randint(_SEED_LIMIT, ()))
        if seed not in self._states:
            with seeded(seed), shifted_seeds(seed), redirect_stdout(StringIO()):
                model = self._find(vars(self._run_again()))
            self._states[seed] = {n: t.detach().clone() for n, t in state_of(model).items()}
            while len(self._states) > 1 and _bytes(self._states) > _BYTE_LIMIT:
                self._states.popitem(last=False)
        return self._states[seed]


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return all parameters and buffers by name, those that are not saved too."""
    tensors = dict(model.named_parameters(remove_duplicate=False))
    return {**tensors, **dict(model.named_buffers(remove_duplicate=False))}


@contextmanager
def shifted_seeds(shift: int) -> Iterator[None]:
    """Let a file that seeds itself (`torch.manual_seed(0)`) draw other numbers inside."""
    seeders = ((torch, "manual_seed"), (torch.random, "manual_seed"), (np.random, "seed"),
               (random, "seed"))
    with ExitStack() as stack:
        for owner, name in seeders:
            stack.enter_context(patch.object(owner, name, _shifted(getattr(owner, name), shift)))
        yield


def _shifted(seed: Callable[..., Any], shift: int) -> Callable[..., Any]:
    def shifted(value: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, int):
            value = (value + shift) % 2**32
        return seed(value, *args, **kwargs)

    return shifted


def _bytes(states: Mapping[int, Mapping[str, Tensor]]) -> int:
    return sum(t.numel() * t.element_size() for state in states.values() for t in state.values())
