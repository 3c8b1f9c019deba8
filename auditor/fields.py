"""Batches that are objects with named fields, as those of graphs: their numbers, and copies."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from auditor import batches
from auditor.graphs import names_of

# What graph libraries call the numbers of nodes and edges. Other names may be those of targets.
FEATURES = ("x", "edge_attr")


def numbers_in(batch: Any) -> dict[str, Tensor]:
    """Return the float tensors of an object's fields by name; targets are left out.

    Nothing of a batch that `batches.tensors_of` can take apart. Fields are read as attributes:
    to ask for an item may make one (`torch_geometric.data.HeteroData`).
    """
    if next(batches.tensors_of(batch), None) is not None:
        return {}
    return {name: value for name, value in fields_of(batch).items()
            if value.is_floating_point() and value.dim() and name not in batches.TARGET_KEYS}


def fields_of(batch: Any) -> dict[str, Tensor]:
    """Return the dense tensors of an object's fields by name, those of targets too."""
    try:
        fields = {name: getattr(batch, name, None) for name in names_of(batch)}
    except Exception:
        # A field of the user's that raises when it is read is no input.
        return {}
    return {name: value for name, value in fields.items()
            if isinstance(value, Tensor) and value.layout is torch.strided}


def whole_of(item: Any) -> dict[str, Tensor] | None:
    """Return all fields of an object by name; None where one is no dense tensor and no number."""
    found = fields_of(item)
    for name in set(names_of(item)) - set(found):
        number = getattr(item, name, None)
        if not isinstance(number, (bool, int, float)):
            return None
        found[name] = torch.tensor(number)
    return found or None


def features_of(batch: Any) -> dict[str, Tensor]:
    """Return those fields that are features of nodes and edges, beside a target."""
    fields = numbers_in(batch)
    named = {name: fields[name] for name in FEATURES if name in fields and fields[name].dim() > 1}
    return named if named and any(key in names_of(batch) for key in batches.TARGET_KEYS) else {}


def with_fields(batch: Any, fields: Mapping[str, Tensor]) -> Any:
    """Return a shallow copy of an object in which these fields are replaced."""
    changed = copy.copy(batch)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def can_be_replaced(batch: Any, name: str) -> bool:
    """Tell whether a copy takes another value of a field, and the original keeps its own."""
    own = copy.deepcopy(batch)
    before = getattr(own, name)
    other = torch.zeros_like(before)
    try:
        changed = with_fields(own, {name: other})
        return getattr(changed, name) is other and getattr(own, name) is before
    except Exception:
        # The user's object refuses: it may be frozen.
        return False
