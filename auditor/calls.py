"""Calls the user's functions with what their signatures ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from auditor.errors import TargetError

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def required_names(function: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters without a default; none when there is no signature."""
    return [
        parameter.name for parameter in _parameters(function)
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def accepts(function: Callable[..., Any], count: int) -> bool:
    """Tell whether a function can be called with that many positional arguments."""
    parameters = _parameters(function)
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    return sum(parameter.kind in _POSITIONAL for parameter in parameters) >= count


def call_filled(
    name: str, function: Callable[..., Any], given: Sequence[Any], values: Mapping[str, Any],
) -> Any:
    """Call a function; further required parameters take the file's value of the same name.

    Args:
        name: Of the function in the user's file, for messages.
        function: What is called.
        given: First positional arguments.
        values: Names of the user's file.

    Raises:
        TargetError: A required parameter has no value.
    """
    rest = required_names(function)[len(given):]
    unknown = [parameter for parameter in rest if parameter not in values]
    if unknown:
        said = ", ".join(unknown)
        raise TargetError(
            f"{name}() needs {said}, and the file has no value of that name.",
            hint=f"Give {said} a default, or define {unknown[0]} in the file.",
        )
    return function(*given, **{parameter: values[parameter] for parameter in rest})


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # Functions written in C may have no signature; they are called as they are.
        return []
