"""Finds out, in a minute, why a PyTorch training run will fail, and what to do about it.

`audit(target)` is the Python door; `Target` describes what is audited when a file is not enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.api import audit
    from auditor.target import Target

__all__ = ["Target", "audit"]

_HOMES = {"audit": "auditor.api", "Target": "auditor.target"}


def __getattr__(name: str) -> Any:
    """Import what measures only when it is asked for: it brings torch with it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'auditor' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
