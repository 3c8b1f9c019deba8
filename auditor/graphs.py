"""Batches that are many graphs in one object, taken apart and joined by their own methods.

`torch_geometric.data.Batch` has them: `to_data_list` and the class method `from_data_list`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.fieldnames import names_of

# torch_geometric numbers the nodes of further sets of a graph (`follow_batch`) under such names.
_NUMBERS = "_batch"


def are_graphs(batch: Any) -> bool:
    """Tell whether a batch is one of graphs; one that was put together by hand may be none."""
    # Asked of the type: an object of the user's may raise whatever it likes when it is read.
    if _maker(batch) is None or not callable(getattr(type(batch), "to_data_list", None)):
        return False
    try:
        return len(graphs_of(batch)) == len(batch)
    except Exception:
        # It does not know where one graph ends.
        return False


def graphs_of(batch: Any) -> list[Any]:
    """Return the graphs of a batch, in order."""
    return list(batch.to_data_list())


def batch_of(graphs: Sequence[Any], like: Any) -> Any | None:
    """Return one batch of graphs, of the kind of another batch; None where it lacks a field."""
    maker, names = _maker(like), names_of(like)
    assert maker is not None
    followed = [name[:-len(_NUMBERS)] for name in names if name.endswith(_NUMBERS)]
    try:
        made = maker.from_data_list(
            list(graphs), **({"follow_batch": followed} if followed else {}))
        return made if set(names) <= set(names_of(made)) else None
    except Exception:
        # Graphs of different kinds cannot be joined.
        return None


def _maker(batch: Any) -> Any:
    # The type of a batch is made for its kind of graph, from the class that is meant.
    return next((kind for kind in type(batch).__mro__ if "from_data_list" in vars(kind)), None)
