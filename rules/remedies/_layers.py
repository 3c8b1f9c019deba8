"""The layers of a target as one watched pass shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from auditor.layergraph import LayerGraph
from auditor.recorder import watching
from auditor.remedy import CannotMend, Case
from auditor.trial import Bench

# Beyond this many names a text says how many more there are.
_SAID = 4


def graph_of(case: Case) -> LayerGraph:
    """Return layers and activations of a fresh copy, connected.

    Raises:
        TargetError: The user's code failed.
    """
    def see(bench: Bench, batch: Any) -> LayerGraph:
        graph = LayerGraph(bench.model, sizes=False)
        with watching(bench.model, graph):
            loss = bench.loss(batch).loss
        if loss.grad_fn is None:
            raise CannotMend("the loss has no graph from which the layers could be read")
        graph.connect(loss)
        return graph

    found: LayerGraph = case.look(see)
    return found


def module_at(model: nn.Module, path: str) -> nn.Module | None:
    """Return the module of a path, or None."""
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def listed(names: Sequence[str]) -> str:
    """Return "fc1, fc2 and 3 more"."""
    if len(names) > _SAID:
        return f"{', '.join(names[:_SAID])} and {len(names) - _SAID} more"
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def tuple_code(codes: Sequence[str]) -> str:
    """Return expressions as a tuple that a `for` goes over."""
    return f"({', '.join(codes)}{',' if len(codes) == 1 else ''})"
