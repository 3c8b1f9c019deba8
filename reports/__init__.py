"""Built-in renderers: a report in, text out."""

from __future__ import annotations

from .json import JsonRenderer
from .terminal import TerminalRenderer

RENDERERS = (TerminalRenderer(), JsonRenderer())
