"""What trials say of the report: which fix comes first, what caused what, what was hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from auditor.finding import Finding, Fix, TrialOutcome, Verdict
from auditor.report import Report

# How the reason begins for which a rule fired on a mended copy only.
_BEHIND = "found with"
_CONFIRMED = "the trial confirms the cause"
# Categories that are judged by how a model moves.
MOVING = frozenset({"activation", "gradient", "learning-rate"})
_RATES = frozenset({"lr-too-high", "lr-too-low"})
_ORDER = {"helps": 0, "untried": 1, "no-effect": 2, "harms": 3}


@dataclass
class Shown:
    """What trials have shown of causes.

    Attributes:
        behind: Rules that were found only on a mended copy.
        resolves: Rule that was mended alone -> findings that were gone then.
        together: Findings that were gone with all of them mended.
        without: Rule that alone was left as it is -> verdict of every rule on that copy.
        stands: Consequences that outlive their causes, and whose own fix helps.
    """

    behind: set[str] = field(default_factory=set)
    resolves: dict[str, tuple[str, ...]] = field(default_factory=dict)
    together: tuple[str, ...] = ()
    without: dict[str, Mapping[str, str]] = field(default_factory=dict)
    stands: set[str] = field(default_factory=set)


def recommended(fixes: Sequence[Fix]) -> tuple[Fix, ...]:
    """Return the fixes, those first that helped, those last that did not."""
    return tuple(sorted(fixes, key=lambda fix: (_ORDER[fix.trial.status], -_gain(fix))))


def with_trials(report: Report, former: Report) -> Report:
    """Return a report that was judged anew with the trials of a former judgement.

    Args:
        report: The new judgement.
        former: What was judged before, with the outcomes of its trials.
    """
    tried = {finding.fingerprint: finding for finding in former.findings
             if any(fix.trial != TrialOutcome() for fix in finding.fixes)}
    if not tried:
        return report
    rules = {finding.rule for finding in report.findings}
    behind = [finding for finding in tried.values()
              if finding.rule not in rules and finding.rule in former.verdicts
              and former.verdicts[finding.rule].reason.startswith(_BEHIND)]
    findings = [replace(finding, fixes=tried[finding.fingerprint].fixes)
                if finding.fingerprint in tried else finding for finding in report.findings]
    every = (*findings, *behind)
    # What all fixes did together says nothing of another set of findings.
    same = {finding.rule for finding in every} == {finding.rule for finding in former.findings}
    if same:
        told = {finding.rule: finding for finding in former.findings}
        every = tuple(replace(finding, causes=told[finding.rule].causes,
                              consequences=told[finding.rule].consequences) for finding in every)
    resolves = {finding.rule: fix.trial.resolves for finding in every
                for fix in finding.fixes if fix.trial.resolves}
    return explained_by_trial(
        replace(report, findings=every, joint=report.joint if same else None),
        Shown({finding.rule for finding in behind}, resolves))


def revealed(report: Report, mended: Report) -> list[Finding]:
    """Return the findings of a mended copy that could not be seen before.

    Masked rules count, and those on signal, gradient and rate when the target as it is learns at
    no rate: where nothing moves, they have nothing to see.
    """
    masked = {rule for rule, found in report.verdicts.items() if found.verdict == "masked"}
    stuck = learns_nothing(report)
    if stuck:
        masked |= {rule for rule, summary in report.rules.items()
                   if summary.category in MOVING and report.verdicts[rule].verdict != "fired"}
    if _RATES & {finding.rule for finding in report.findings if finding.severity != "info"}:
        # A fix has set the rate of the copy: it is no longer the user's.
        masked -= _RATES
    if stuck:
        # Their causes as they are told were mended, so they stand for themselves.
        fresh = [f for f in mended.findings if f.rule in masked and f.severity != "info"]
        names = {finding.rule for finding in fresh}
        return [replace(f, causes=()) for f in fresh if not names & set(f.causes)]
    return [finding for finding in mended.roots
            if finding.rule in masked and finding.severity != "info"]


def is_tried(report: Report, finding: Finding) -> bool:
    """Tell whether the fixes of a finding are tried.

    An information whose rule never says more names a remedy on purpose; a warning that was toned
    down to one is left alone.
    """
    rule = report.rules.get(finding.rule)
    weighs = finding.severity != "info" or (rule is not None and rule.severity == "info")
    return weighs and finding.is_open


def learns_nothing(report: Report) -> bool:
    """Tell whether no learning rate lowers the loss."""
    found = report.verdicts.get("no-learning-at-any-rate")
    return found is not None and found.verdict == "fired"


def explained_by_trial(report: Report, shown: Shown) -> Report:
    """Return the report with the causes that the trials have shown.

    Args:
        report: With the outcomes; findings that were hidden stand at its end.
        shown: By the trials.
    """
    hiders = ", ".join(rule for rule in shown.resolves if rule not in shown.behind)
    told = f"{_BEHIND} {hiders or 'the other findings'} mended"
    verdicts = {**report.verdicts, **{rule: Verdict("fired", told) for rule in shown.behind}}
    findings = {finding.rule: finding for finding in report.findings if not finding.ignored}
    aside = tuple(finding for finding in report.findings if finding.ignored)
    for rule in shown.stands:
        _stand_alone(findings, rule)
    for cause, gone in shown.resolves.items():
        for rule in gone:
            if _overrules(cause, rule, findings, shown.resolves):
                _unlink(findings, rule, cause)
            if _is_shown(cause, rule, findings, shown.resolves):
                _link(findings, cause, rule)
    _explain_together(findings, shown)
    ordered = _in_order(list(findings.values()))
    return replace(report, findings=(*ordered, *aside), verdicts=verdicts)


def _explain_together(findings: dict[str, Finding], shown: Shown) -> None:
    """Explain what was gone with everything mended: by the faults that bring it back."""
    mended = [rule for rule in findings if _helps(findings[rule])]
    for rule in shown.together:
        if rule not in findings or rule in mended:
            continue
        back = [cause for cause, seen in shown.without.items()
                if cause in findings and seen.get(rule) == "fired"]
        for cause in back:
            # What brings it back is no consequence of it.
            _unlink(findings, rule, cause)
        for cause in findings[rule].causes:
            if back and shown.without.get(cause, {}).get(rule) == "clear":
                _unlink(findings, cause, rule)
        if not shown.without and not findings[rule].causes:
            back = mended
        for cause in back:
            if _is_shown(cause, rule, findings, shown.resolves):
                _link(findings, cause, rule)


def _is_shown(
    cause: str, rule: str, findings: Mapping[str, Finding],
    resolves: Mapping[str, Sequence[str]],
) -> bool:
    """Tell whether mending one finding shows it to be the cause of another."""
    if rule == cause or rule not in findings or cause not in findings:
        return False
    # Each removes the other: the trial does not say which comes first.
    mutual = cause in resolves.get(rule, ())
    # A root whose own fix helps stands for itself.
    alone = not findings[rule].causes and _helps(findings[rule])
    backwards = _cannot_cause(findings[cause], findings[rule])
    return not (mutual or alone or backwards) and rule not in _above(cause, findings)


def _overrules(
    cause: str, rule: str, findings: Mapping[str, Finding],
    resolves: Mapping[str, Sequence[str]],
) -> bool:
    """Tell whether a finding that was told to be another one's cause went away with that one."""
    return (cause in findings and rule in findings and rule in findings[cause].causes
            and not _helps(findings[rule]) and cause not in resolves.get(rule, ())
            and not _cannot_cause(findings[cause], findings[rule]))


def _cannot_cause(cause: Finding, other: Finding) -> bool:
    """Tell whether one finding is of the data, and the other is not known to make them so.

    A model that memorises less, or classes that are drawn evenly, may hide that the labels say
    nothing; they did not make them so.
    """
    return other.category == "data" and cause.rule not in other.causes


def _helps(finding: Finding) -> bool:
    return any(fix.trial.status == "helps" for fix in finding.fixes)


def _above(rule: str, findings: Mapping[str, Finding]) -> set[str]:
    seen: set[str] = set()
    waiting = list(findings[rule].causes)
    while waiting:
        name = waiting.pop()
        if name not in seen and name in findings:
            seen.add(name)
            waiting.extend(findings[name].causes)
    return seen


def _link(findings: dict[str, Finding], cause: str, rule: str) -> None:
    below, above = findings[rule], findings[cause]
    said = f" With {cause} mended it was gone: the trial confirms the cause."
    if _CONFIRMED in below.message:
        said = ""
    findings[rule] = replace(
        below, message=below.message + said,
        causes=tuple(dict.fromkeys((*below.causes, cause))))
    findings[cause] = replace(
        above, consequences=tuple(dict.fromkeys((*above.consequences, rule))))


def _unlink(findings: dict[str, Finding], cause: str, rule: str) -> None:
    above, below = findings[cause], findings[rule]
    findings[rule] = replace(below, causes=tuple(c for c in below.causes if c != cause))
    findings[cause] = replace(
        above, consequences=tuple(c for c in above.consequences if c != rule))


def _stand_alone(findings: dict[str, Finding], rule: str) -> None:
    """Make a root of a consequence that was still there with its causes mended."""
    causes = findings[rule].causes
    for cause in causes:
        if cause in findings:
            _unlink(findings, cause, rule)
    said = f" With {', '.join(causes)} mended it was still there: it stands for itself."
    findings[rule] = replace(
        findings[rule], causes=(), message=findings[rule].message + said)


def _in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings in their order, each behind its causes."""
    names = {finding.rule for finding in findings}
    told: dict[str, Finding] = {}
    waiting = list(findings)
    while waiting:
        ready = next((f for f in waiting
                      if all(c in told for c in f.causes if c in names)), waiting[0])
        waiting.remove(ready)
        told[ready.rule] = ready
    return tuple(told.values())


def _gain(fix: Fix) -> float:
    """Return what a fix gains in its score, or in its loss where there is none."""
    before, after = fix.trial.before, fix.trial.after
    for name in after:
        old, new = before.get(name), after[name]
        if name != "loss" and isinstance(new, list) and isinstance(old, list) and old and new:
            return _more(new[-1], old[-1])
    old, new = before.get("loss"), after.get("loss")
    if isinstance(old, list) and isinstance(new, list) and old and new:
        return _more(old[-1], new[-1])
    return 0.0


def _more(larger: object, smaller: object) -> float:
    values = [float(v) for v in (larger, smaller) if isinstance(v, (int, float, str))]
    # Two infinite losses are equally useless.
    return values[0] - values[1] if len(values) == 2 and values[0] != values[1] else 0.0
