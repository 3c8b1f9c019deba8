"""Built-in renderers: a report in, text out."""

from __future__ import annotations

from .github import GithubRenderer
from .gitlab import GitlabRenderer
from .html import HtmlRenderer
from .json import JsonRenderer
from .junit import JunitRenderer
from .markdown import MarkdownRenderer
from .sarif import SarifRenderer
from .terminal import TerminalRenderer

RENDERERS = (
    TerminalRenderer(), JsonRenderer(), MarkdownRenderer(), HtmlRenderer(),
    SarifRenderer(), JunitRenderer(), GithubRenderer(), GitlabRenderer(),
)
