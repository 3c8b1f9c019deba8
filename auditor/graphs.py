"""Batches that are many graphs in one object, taken apart and joined by their own methods.

`torch_geometric.data.Batch` has them: `to_data_list` and the class method `from_data_list`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def are_graphs(batch: Any) -> bool:
    """Tell whether a batch is one of graphs."""
    # Asked of the type: an object of the user's may raise whatever it likes when it is read.
    return _maker(batch) is not None and callable(getattr(type(batch), "to_data_list", None))


def graphs_of(batch: Any) -> list[Any]:
    """Return the graphs of a batch, in order."""
    return list(batch.to_data_list())


def batch_of(graphs: Sequence[Any], like: Any) -> Any:
    """Return one batch of graphs, of the kind of another batch."""
    maker = _maker(like)
    assert maker is not None
    return maker.from_data_list(list(graphs))


def _maker(batch: Any) -> Any:
    # The type of a batch is made for its kind of graph, from the class that is meant.
    return next((kind for kind in type(batch).__mro__ if "from_data_list" in vars(kind)), None)
