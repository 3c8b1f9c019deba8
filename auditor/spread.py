"""Size and spread of single tensors, from spread samples of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from auditor.sampling import coprime_stride

_ROWS = 64
_COLUMNS = 256


def spread_sample(tensor: Tensor, count: int) -> Tensor:
    """Return at most `count` values of a tensor, (K,), spread evenly over all its dimensions.

    The stride is coprime with the size: a plain one would read a single channel only.
    """
    flat = tensor.reshape(-1)
    size = flat.numel()
    if size <= count:
        return flat
    stride = coprime_stride(size, count)
    return flat[::stride][:count] if stride > 1 else flat[:count]


def sample_matrix(tensor: Tensor) -> Tensor:
    """Return (n, f) values: at most 64 samples of the first dimension by 256 spread features."""
    rows = tensor.reshape(tensor.shape[0], -1)
    if rows.shape[0] > _ROWS:
        rows = rows[:: rows.shape[0] // _ROWS][:_ROWS]
    size = rows.shape[1]
    if size > _COLUMNS:
        rows = rows[:, ::coprime_stride(size, _COLUMNS)][:, :_COLUMNS]
    return rows.float()


def spread(tensor: Tensor) -> Tensor:
    """Return the standard deviation over samples, rms over features, of a (N, ...) tensor, ()."""
    matrix = sample_matrix(tensor)
    if matrix.shape[0] < 2:
        return matrix.new_full((), math.nan)
    return matrix.var(dim=0, unbiased=False).mean().sqrt()


def sample_spread(tensor: Tensor) -> float:
    """Return `spread` as a number."""
    return float(spread(tensor))


def sample_variation(tensor: Tensor) -> float:
    """Return the spread over samples relative to the rms; 0 for an all-zero tensor."""
    matrix = sample_matrix(tensor)
    size = float(matrix.square().mean().sqrt())
    if matrix.shape[0] < 2 or size == 0:
        return 0.0 if matrix.shape[0] >= 2 else math.nan
    return float(matrix.var(dim=0, unbiased=False).mean().sqrt()) / size


def rms(tensor: Tensor) -> Tensor:
    """Return the root mean square over all elements, ()."""
    size: Tensor = torch.linalg.vector_norm(tensor.float())
    return size / math.sqrt(tensor.numel())


def rms_of(tensor: Tensor) -> float:
    """Return `rms` as a number."""
    return float(rms(tensor))
