"""Copies of large tensors in a file without a name: they take no memory and leave nothing behind.

The file is gone with the last reference to it, however the process ends.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import IO, Any

import torch
from torch import Tensor

# Smaller ones are not worth a call of the system.
_SMALLEST = 1 << 16


@dataclass(frozen=True)
class Laid:
    """A copy of a dense CPU tensor in a file.

    Attributes:
        file: Open for reading and writing.
        offset: Of the first byte.
        shape: Of the tensor.
        dtype: Of the tensor.
    """

    file: IO[bytes]
    offset: int
    shape: torch.Size
    dtype: torch.dtype

    def put_into(self, tensor: Tensor) -> None:
        """Copy it into a tensor of the same shape.

        Raises:
            OSError: The file does not hold it any more.
        """
        if not _is_plain(tensor) or tensor.dtype != self.dtype:
            tensor.copy_(self.tensor())
            return
        self.file.seek(self.offset)
        memory = _bytes_of(tensor)
        if self.file.readinto(memory) != memory.nbytes:  # type: ignore[attr-defined]
            raise OSError("a copy of a tensor cannot be read back from its temporary file")

    def tensor(self) -> Tensor:
        """Return it as a new tensor."""
        made = torch.empty(self.shape, dtype=self.dtype)
        self.put_into(made)
        return made


class Shelf:
    """A place for copies of tensors."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None

    def lay(self, tensor: Tensor) -> Tensor | Laid:
        """Return a copy of a tensor: in the file where it is large, else in memory."""
        if not _is_plain(tensor) or tensor.numel() * tensor.element_size() < _SMALLEST:
            return tensor.detach().clone()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()
            offset = self._file.seek(0, 2)
            self._file.write(_bytes_of(tensor))
            self._file.flush()
        except OSError:
            # The disk is full or cannot be written; memory is what is left.
            return tensor.detach().clone()
        return Laid(self._file, offset, tensor.shape, tensor.dtype)


def _is_plain(tensor: Tensor) -> bool:
    return (tensor.device.type == "cpu" and tensor.layout == torch.strided
            and tensor.is_contiguous() and not tensor.is_quantized and not tensor.is_conj()
            and not tensor.is_neg())


def _bytes_of(tensor: Tensor) -> Any:
    """Return the memory of a plain tensor."""
    return tensor.detach().reshape(-1).view(torch.uint8).numpy().data
