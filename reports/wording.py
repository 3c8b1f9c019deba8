"""The words that all renderings share: numbers, verdict, evidence, trials, places."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping

from auditor.finding import Evidence, Finding, Severity, TrialOutcome
from auditor.observation import Json, Place
from auditor.report import Report
from auditor.visible import visible

_TRIAL_WORDS = {"helps": "helps", "no-effect": "no effect", "harms": "makes it worse"}
# Measures of trials that are shown in percent.
SHARES = frozenset({"accuracy", "mean recall"})
_NOT_THE_USERS = ("", "pack", "measured")
_COMPARED = {"==": "must not be", "!=": "must be"}


def prose(text: str) -> str:
    """Return the text as one line, its line breaks and runs of blanks as single blanks."""
    return visible(re.sub(r"[ \t\r\n]+", " ", text).strip(" "))


def code_lines(code: str) -> list[str]:
    """Return the lines of a snippet, tabs expanded, without blank lines around it."""
    lines = [visible(line.rstrip("\r").expandtabs(4)).rstrip() for line in code.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def number(value: Json) -> str:
    """Return a measured value with at most three significant digits ("0.632", "1.2e-7", "yes")."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**6 else _exponent(float(value))
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        return {"nan": "NaN"}.get(value, prose(value))
    if isinstance(value, list) and value and all(_is_number(item) for item in value):
        low, high = min(value, key=float), max(value, key=float)  # type: ignore[arg-type]
        return number(low) if low == high else f"{number(low)} to {number(high)}"
    return prose(json.dumps(value, sort_keys=True))


def percent(value: Json, high: Json = None) -> str:
    """Return a share in percent ("87 %"), or a range of shares ("78 to 96 %")."""
    ends = [f"{100 * float(v):.0f}" for v in (value, high) if isinstance(v, (int, float))]
    return f"{' to '.join(dict.fromkeys(ends))} %" if ends else number(value)


def quantity(value: Json, unit: str = "", spread: float | None = None) -> str:
    """Return the value with its spread and its unit ("0.63 +/- 0.02 share")."""
    around = f" +/- {number(spread)}" if spread else ""
    return f"{number(value)}{around}{' ' + prose(unit) if unit else ''}"


def big(count: Json) -> str:
    """Return a count in thousands, millions or billions ("61.7 k")."""
    if not isinstance(count, int):
        return number(count)
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)


def plural(count: int, word: str) -> str:
    """Return "1 error" or "2 errors"."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def evidence_line(item: Evidence) -> str:
    """Return one measured value beside its limit ("dead units in fc1: 0.63 share (limit 0.5)")."""
    return f"{evidence_name(item)}: {evidence_value(item)}"


def evidence_name(item: Evidence, quote: Callable[[str], str] = prose) -> str:
    """Return what was measured, and where ("dead units in fc1")."""
    return f"{_quantity_name(item)}{f' in {quote(item.layer)}' if item.layer else ''}"


def evidence_value(item: Evidence) -> str:
    """Return what was measured and its limit ("0.63 share (limit 0.5)").

    A unit that the name already says is not said again.
    """
    unit = "" if item.unit in _quantity_name(item).split() else item.unit
    value = quantity(item.value, unit, item.spread)
    if item.threshold is None:
        return value
    origin = f", from the {prose(item.threshold_source)}" if _is_changed(item) else ""
    return f"{value} ({_COMPARED.get(item.comparison, 'limit')} {number(item.threshold)}{origin})"


def changed_limits(finding: Finding) -> tuple[Evidence, ...]:
    """Return the evidence whose limit the user has set."""
    return tuple(item for item in finding.evidence if _is_changed(item))


def trial_line(trial: TrialOutcome) -> str:
    """Return what happened when a fix was tried; empty when there is nothing to tell."""
    reason = prose(trial.reason)
    if trial.status == "untried":
        return f"no: {reason}" if reason else ""
    changes = "; ".join(_changes(trial))
    clears = f"clears {', '.join(map(prose, sorted(trial.resolves)))}" if trial.resolves else ""
    told = "; ".join(part for part in (changes, clears) if part)
    word = _TRIAL_WORDS[trial.status]
    seeds = plural(trial.seeds, "seed") if trial.seeds else ""
    how = "; ".join(part for part in (seeds, reason) if part)
    return f"{word}{': ' + told if told else ''}{f' ({how})' if how else ''}"


def is_address(word: str) -> bool:
    """Tell whether a word of a reference is a web address without anything that could break out."""
    return word.startswith("https://") and not set(word) & set("<>`|\\\"'")


def where(place: Place | None) -> str:
    """Return `file:line:column` without what is unknown; empty when there is no place."""
    if place is None:
        return ""
    column = f":{place.column}" if place.column else ""
    return f"{prose(place.file)}:{place.line}{column}"


def subjects(
    report: Report, finding: Finding, most: int = 3, quote: Callable[[str], str] = prose,
) -> str:
    """Return what the finding is about ("layers fc1, fc2 and 4 more"); empty for the run."""
    if not finding.layers:
        return ""
    word = _subject_word(report, finding)
    names = listed((quote(name) for name in finding.layers), most)
    return f"{plural(2, word)[2:] if len(finding.layers) > 1 else word} {names}" if word else names


def listed(names: Iterable[str], most: int = 3) -> str:
    """Return "a, b and c", or "a, b and 4 more"."""
    known = list(names)
    if len(known) > most:
        return f"{', '.join(known[: most - 1])} and {len(known) - most + 1} more"
    return " and ".join([", ".join(known[:-1]), known[-1]]) if len(known) > 1 else "".join(known)


def verdict_sentence(report: Report) -> str:
    """Return the audit's result in one sentence."""
    name = target_name(report)
    accepted = "".join(f", {count}" for count in _accepted(report))
    new = "new fault" if accepted else "fault"
    if report.verdict == "fail":
        return f"{name} will not train properly as it is: {fault_counts(report)}"
    if report.verdict == "warn":
        return f"{name} trains, but is held back or at risk: {fault_counts(report)}"
    if report.verdict == "incomplete":
        missed = count_verdicts(report, "not-measured")
        checks = f"{missed} of {plural(len(report.verdicts), 'check')}"
        return f"No {new} was found in {name}{accepted}, but {checks} could not be made"
    clear = plural(count_verdicts(report, "clear"), "check")
    return f"No {new} was found in {name}: {clear} clear{accepted}"


def fault_counts(report: Report) -> str:
    """Return "2 errors, 1 warning; 1 root cause", with the known and ignored ones apart."""
    severities: tuple[Severity, ...] = ("error", "warning")
    counts = [plural(report.count(s), s) for s in severities if report.count(s)]
    counts += _accepted(report)
    faults = [f for f in report.findings if f.severity != "info" and f.is_open]
    roots = sum(not finding.causes for finding in faults)
    cause = f"; {plural(roots, 'root cause')}" if 0 < roots < len(faults) else ""
    return ", ".join(counts) + cause


def count_verdicts(report: Report, verdict: str) -> int:
    """Return how many rules got this verdict."""
    return sum(found.verdict == verdict for found in report.verdicts.values())


def target_name(report: Report) -> str:
    """Return what the user calls the target: its file, else its model."""
    name = report.target.get("file") or report.target.get("model") or "the model"
    return prose(str(name))


def run_line(report: Report) -> str:
    """Return file, model, parameters, device, seconds and seed, as far as they are known."""
    target, environment = report.target, report.environment
    model, parameters = target.get("model"), target.get("parameters")
    device, seed = environment.get("device"), environment.get("seed")
    parts = [
        prose(str(model)) if model else "",
        f"{big(parameters)} parameters" if parameters is not None else "",
        prose(str(device)) if device else "",
        f"{seconds(report):.1f} s{_training_share(report)}",
        f"seed {number(seed)}" if seed is not None else "",
        "interrupted before all was measured" if environment.get("interrupted") else "",
        "stopped before all was measured" if environment.get("stopped") else "",
    ]
    return f"{target_name(report)}: {', '.join(part for part in parts if part)}"


def facts(report: Report) -> list[tuple[str, str]]:
    """Return what is known of the target and the environment, by name."""
    parts = (report.target, report.environment)
    return [(prose(name).replace("_", " "), _fact(value))
            for part in parts for name, value in part.items() if value not in ({}, "", None)]


def _training_share(report: Report) -> str:
    """Return which part of the time went into training steps, if it is known."""
    spent, whole = report.environment.get("training_seconds"), seconds(report)
    if not isinstance(spent, (int, float)) or not whole > 0 or not 0 < spent <= whole:
        return ""
    return f" ({100 * spent / whole:.0f} % in training steps)"


def seconds(report: Report) -> float:
    """Return the wall time of the audit, else of its probes together."""
    whole = report.environment.get("seconds")
    if isinstance(whole, (int, float)):
        return float(whole)
    return sum(probe.seconds for probe in report.probes)


def _accepted(report: Report) -> list[str]:
    ignored = sum(bool(finding.ignored) for finding in report.findings)
    known = sum(finding.known and not finding.ignored for finding in report.findings)
    return [f"{count} {word}" for count, word in
            ((known, "known from the baseline"), (ignored, "ignored")) if count]


def _fact(value: Json) -> str:
    if isinstance(value, Mapping):
        if "file" in value and "line" in value:
            return f"{number(value['file'])}:{number(value['line'])}"
        return ", ".join(f"{prose(name)} {_fact(item)}" for name, item in value.items())
    return number(value)


def _float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value != 0 and not 1e-3 <= abs(value) < 999_500:
        return _exponent(value)
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    rounded = float(f"{value:.3g}")
    return f"{rounded:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{rounded:.0f}"


def _exponent(value: float) -> str:
    mantissa, exponent = f"{value:.2e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def _quantity_name(item: Evidence) -> str:
    return prose(item.says).rstrip(".") or prose(item.measurement).replace("_", " ")


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_changed(item: Evidence) -> bool:
    return item.threshold is not None and item.threshold_source not in _NOT_THE_USERS


def _changes(trial: TrialOutcome) -> list[str]:
    before, after = trial.before, trial.after
    names = [*before, *(name for name in after if name not in before)]
    return [_change(name, before.get(name), after.get(name), trial.steps) for name in names]


def _change(name: str, before: Json, after: Json, steps: int) -> str:
    words = prose(name).replace("_", " ")
    if steps:
        # Lists are curves over the steps; what counts is where they end.
        words += f" after {plural(steps, 'step')}"
        before, after = _end(before), _end(after)
    show = percent if steps and name in SHARES else number
    if before is None or after is None:
        return f"{words} {show(after if before is None else before)}"
    return f"{words} {show(before)} -> {show(after)}"


def _end(value: Json) -> Json:
    return value[-1] if isinstance(value, list) and value else value


def _subject_word(report: Report, finding: Finding) -> str:
    names = (item.measurement for item in finding.evidence if item.layer)
    scopes = {report.quantities[name].scope for name in names if name in report.quantities}
    return scopes.pop() if len(scopes) == 1 and "run" not in scopes else ""
