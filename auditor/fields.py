"""Batches that are objects with named fields, as those of graphs: their numbers, and copies."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from auditor import batches

# What graph libraries call the numbers of nodes and edges. Other names may be those of targets.
FEATURES = frozenset({"x", "edge_attr"})


def numbers_in(batch: Any) -> dict[str, Tensor]:
    """Return the float tensors of an object's fields by name; targets are left out.

    Nothing of a batch that `batches.tensors_of` can take apart.
    """
    if next(batches.tensors_of(batch), None) is not None:
        return {}
    try:
        fields = dict(_fields(batch))
    except Exception:
        # A field of the user's that raises when it is read is no input.
        return {}
    return {name: value for name, value in fields.items()
            if isinstance(value, Tensor) and value.is_floating_point() and value.dim()
            and name not in batches.TARGET_KEYS}


def with_fields(batch: Any, fields: Mapping[str, Tensor]) -> Any:
    """Return a shallow copy of an object in which these fields are replaced."""
    changed = copy.copy(batch)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _fields(batch: Any) -> list[tuple[str, Any]]:
    keys = getattr(batch, "keys", None)
    if callable(keys):
        return [(str(key), batch[key]) for key in keys()]
    return list(getattr(batch, "__dict__", {}).items())
