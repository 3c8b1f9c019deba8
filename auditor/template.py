"""Texts of rule packs with `{name}` and `{name:spec}`: declared names only, checked at load."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING

from auditor.errors import nearest

if TYPE_CHECKING:
    from auditor.observation import Scalar

# Sign, thousands, precision, type: what a number in a sentence needs, and nothing that could
# make the text grow without bound (a width of a billion).
_SPEC = re.compile(r"\+?,?(\.\d{1,2})?[efgdEFG%]?")


class TemplateError(ValueError):
    """A text with a placeholder that cannot be filled.

    Attributes:
        field: The placeholder's name as it stands in the text; empty if the text has no fields.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Template:
    """A text with placeholders.

    Attributes:
        text: As it was written.
        names: The names that it speaks of.
    """

    text: str
    names: frozenset[str]

    def lacks(self, values: Mapping[str, Scalar]) -> bool:
        """Tell whether a value is missing that the text speaks of."""
        return not self.names <= values.keys()

    def fill(self, values: Mapping[str, Scalar]) -> str:
        """Return the text with the values set in; "?" where a value is missing."""
        return "".join(
            literal + ("" if name is None else _shown(values.get(name), spec or ""))
            for literal, name, spec, _ in Formatter().parse(self.text)
        )


def compile_template(text: str, names: frozenset[str]) -> Template:
    """Return a template, checked against the names that it may use.

    Raises:
        TemplateError: Single braces, an unknown name, an attribute, an index, a conversion, or a
            format that is not for numbers.
    """
    try:
        parts = list(Formatter().parse(text))
    except ValueError as fault:
        raise TemplateError(f"{fault}; write {{{{ and }}}} for braces in the text") from None
    fields = [(name, spec or "", conversion) for _, name, spec, conversion in parts
              if name is not None]
    for name, spec, conversion in fields:
        problem = _problem(name, spec, conversion, names)
        if problem:
            raise TemplateError(problem, name)
    return Template(text, frozenset(name for name, _, _ in fields))


def _problem(name: str, spec: str, conversion: str | None, names: frozenset[str]) -> str:
    if not name.isidentifier():
        return (f"'{{{name}}}' is no placeholder; name a quantity or threshold, and write "
                "{{ and }} for braces in the text")
    if name not in names:
        return f"unknown name '{name}' in the text{nearest(name, names)}"
    if conversion is not None:
        return f"'!{conversion}' after '{name}' has no meaning here"
    if not _SPEC.fullmatch(spec):
        return f"'{spec}' after '{name}' is no number format, like .2g or .0%"
    return ""


def _shown(value: Scalar | None, spec: str) -> str:
    if value is None:
        return "?"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not spec:
        return _plain(value)
    if not math.isfinite(value):
        return str(value)
    # Counts come as floats out of JSON and out of tensors.
    if spec.endswith("d") or (spec.endswith(",") and value == round(value)):
        return format(round(value), spec)
    return format(float(value), spec)


def _plain(value: float) -> str:
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return format(value, ".3g")
