"""Built-in renderers: a report in, text out."""

from __future__ import annotations

from .html import HtmlRenderer
from .json import JsonRenderer
from .markdown import MarkdownRenderer
from .terminal import TerminalRenderer

RENDERERS = (TerminalRenderer(), JsonRenderer(), MarkdownRenderer(), HtmlRenderer())
