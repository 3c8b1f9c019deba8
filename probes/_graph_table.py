"""Graphs as rows of a table, so that what holds for rows can be asked of them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from auditor import batches
from auditor.fields import whole_of
from auditor.graphs import graphs_of

from ._samples import Samples

# Columns of one field, at most.
_WIDEST = 64
# By this part of their names torch_geometric knows the fields that hold places of nodes.
_PLACES = "index"


def as_rows(samples: Samples) -> Samples:
    """Return samples of graphs with a row of numbers for each and its target; others as they are.

    A row holds the mean and the spread of each field over the nodes or edges, and how many there
    are: different graphs may have equal ones. Graphs with a target for each node stay as they are.
    """
    each = [whole_of(graph) for batch in samples.batches for graph in graphs_of(batch) or ()]
    found = [fields for fields in each if fields is not None]
    if not found or len(found) < samples.count:
        return samples
    targets = [_target(fields) for fields in found]
    rows = [_row(fields) for fields in found]
    known = [target for target in targets if target is not None]
    same = len({(t.shape, t.dtype) for t in known}) == 1 and len({len(row) for row in rows}) == 1
    if len(known) < len(found) or not same or not rows[0].numel():
        return samples
    table = torch.stack(rows)
    # Of kinds alone the table holds whole numbers, so that they are known as such.
    real = any(value.is_floating_point() for name, value in found[0].items()
               if name not in batches.TARGET_KEYS)
    return replace(samples, inputs=(table if real else (1000 * table).long(),),
                   target=torch.cat(known), separate=True)


def _target(fields: dict[str, Tensor]) -> Tensor | None:
    """Return the target of a graph, (1, ...)."""
    target = next((fields[name] for name in batches.TARGET_KEYS if name in fields), None)
    if target is None or (target.dim() and target.shape[0] != 1):
        return None
    return target.detach().reshape(1, *target.shape[1:])


def _row(fields: dict[str, Tensor]) -> Tensor:
    parts = []
    for name, value in sorted(fields.items()):
        if name in batches.TARGET_KEYS or not value.numel():
            continue
        columns = value.detach().cpu().double().reshape(len(value) if value.dim() else 1, -1)
        parts.append(torch.tensor([float(value.numel())]))
        # The places of nodes in a graph say nothing: of edges it is the number that counts.
        if columns.shape[1] <= _WIDEST and _PLACES not in name:
            parts += [columns.mean(0).float(), columns.std(0, correction=0).float()]
    return torch.cat(parts) if parts else torch.zeros(0)
