"""Batches that are many graphs in one object, taken apart and joined by their own methods.

`torch_geometric.data.Batch` has them: `to_data_list` and the class method `from_data_list`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# torch_geometric numbers the nodes of further sets of a graph (`follow_batch`) under such names.
_NUMBERS = "_batch"


def graphs_of(batch: Any) -> list[Any] | None:
    """Return the graphs of a batch, in order; None where it is no batch of graphs.

    One that was put together by hand may not know where a graph ends.
    """
    # Asked of the type: an object of the user's may raise whatever it likes when it is read.
    if _maker(batch) is None or not callable(getattr(type(batch), "to_data_list", None)):
        return None
    try:
        found = list(batch.to_data_list())
        return found if len(found) == len(batch) else None
    except Exception:
        # The library's way of saying that it cannot.
        return None


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


def names_of(item: Any) -> list[str]:
    """Return the names of an object's fields: its keys, if it has any, else its attributes."""
    keys = getattr(item, "keys", None)
    names = keys() if callable(keys) else getattr(item, "__dict__", {}) if keys is None else keys
    return [name for name in names if isinstance(name, str)]
