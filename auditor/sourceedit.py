"""What a remedy asks of the user's file: small, mechanical changes; `patching` carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from auditor.observation import Place

EditKind: TypeAlias = Literal[
    "set-keyword", "replace-call", "drop-call", "rename-call", "after-construction",
    "squeeze-output", "first-argument",
]


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of the user's file.

    Attributes:
        kind: "set-keyword" gives a call's argument `name` the value `code`; "replace-call" puts
            `code` in place of a call; "drop-call" leaves only its input; "rename-call" changes the
            class or function that is called from `name` to `code`; "after-construction" adds the
            lines of `code` where the model is complete; "squeeze-output" gives the model's output
            the call `code`; "first-argument" replaces a call's first argument.
        place: The call; None where the model's construction or output is meant.
        name: Of the keyword or function.
        code: What is written.
        position: Of a keyword that may also be given by position, from 0; -1 for none.
    """

    kind: EditKind
    place: Place | None = None
    name: str = ""
    code: str = ""
    position: int = -1
