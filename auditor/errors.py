"""Errors that a user can meet; each says what happened, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable


class AuditorError(Exception):
    """A problem that the user can mend.

    Attributes:
        message: What happened, in the user's words.
        hint: What to do next; empty when the message already says it.
        where: `file:line` or a code frame, empty when unknown.
        exit_code: What `audit` ends with.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        return "\n".join(part for part in (self.message, self.where, self.hint) if part)


class UsageError(AuditorError):
    """The command line asks for something that does not exist or does not fit."""


class ConfigError(AuditorError):
    """The configuration cannot be used."""


class PackError(AuditorError):
    """A rule pack cannot be used."""


class ObservationError(AuditorError):
    """A saved observation file or report cannot be read."""


class AuditFailed(AuditorError):  # noqa: N818 - read as the outcome
    """The audit found what its caller does not accept."""

    exit_code = 1


class TargetError(AuditorError):
    """The user's file could not be turned into a target, or its code failed."""

    exit_code = 3


class TargetTimeout(TargetError):  # noqa: N818 - read as the outcome
    """The user's code did not come back in time."""


class OwnFault(AuditorError):  # noqa: N818 - it is ours, and no error of the user's
    """The auditor itself failed while the user's code ran."""

    exit_code = 4


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known name that is most like this one, or nothing."""
    # Only a wrong name needs it.
    import difflib

    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean '{close[0]}'?" if close else ""
