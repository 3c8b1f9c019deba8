"""The names of the fields of a batch that is an object."""

from __future__ import annotations

from typing import Any


def names_of(batch: Any) -> list[str]:
    """Return the names of an object's fields: its keys, if it has any, else its attributes."""
    keys = getattr(batch, "keys", None)
    names = keys() if callable(keys) else getattr(batch, "__dict__", {}) if keys is None else keys
    return [name for name in names if isinstance(name, str)]
