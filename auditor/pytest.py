"""A plugin for pytest: `pytest --audit model.py`, and a fixture `audit` for tests of one's own.

The settings are those of `audit run`: the configuration beside the target counts. Torch is
imported when the first audit runs, not when pytest starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from auditor.report import Report
    from auditor.request import Request
    from auditor.target import Target

_MARK = "audit"
_PROFILES = ("quick", "standard", "thorough")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("auditor", "training pathologies")
    group.addoption("--audit", action="append", default=[], metavar="TARGET",
                    help="Audit model.py, model.py:NAME or package.module:NAME, one test for "
                         "each rule. Repeatable; `-m audit` runs these tests alone.")
    group.addoption("--audit-profile", choices=_PROFILES, default=None,
                    help="How much the audits of --audit and of the fixture measure.")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark of the tests that --audit makes."""
    config.addinivalue_line("markers", f"{_MARK}: one rule of an audit (pytest --audit)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item],
) -> None:
    """Add one test a rule for every target of --audit."""
    for target in config.getoption("--audit"):
        audited: AuditedTarget = AuditedTarget.from_parent(session, name=target, nodeid=target)
        items.extend(audited.collect())


class AuditedTarget(pytest.Collector):
    """One target of --audit; it is audited when its first rule is asked for."""

    _report: Report | None = None
    _asked: Request | None = None

    @property
    def asked(self) -> Request:
        """What is audited, and how.

        Raises:
            pytest.UsageError: The configuration cannot be used.
        """
        if self._asked is None:
            self._asked = _request(self.name, {}, self.config)
        return self._asked

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one test a rule."""
        for rule in self.asked.rules:
            yield RuleItem.from_parent(self, name=rule.id)

    def report(self) -> Report:
        """Return the report of the audit, which is made once.

        Raises:
            AuditorError: The target cannot be audited.
        """
        if self._report is None:
            self._report = _audited(self.asked)
        return self._report


class RuleItem(pytest.Item):
    """The verdict of one rule on one target."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.add_marker(_MARK)

    def runtest(self) -> None:
        """Fail where the rule found what does not pass; skip what was not judged.

        Raises:
            AuditorError: The rule found a fault, or the target cannot be audited.
        """
        from auditor.errors import AuditFailed

        assert isinstance(self.parent, AuditedTarget)
        settings, report = self.parent.asked.effective, self.parent.report()
        found = report.verdicts.get(self.name)
        if found is None:
            pytest.skip("left out by the quick profile")
        if settings.fail_on != "never":
            own = tuple(item for item in report.findings if item.rule == self.name)
            replace(report, findings=own).raise_on(settings.fail_on)
        if found.verdict == "not-measured" and settings.strict:
            raise AuditFailed(f"not measured: {found.reason}")
        if found.verdict in ("not-measured", "not-applicable", "masked"):
            pytest.skip(f"{found.verdict.replace('-', ' ')}: {found.reason}")

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None,
    ) -> Any:
        """Show what was found instead of our own lines."""
        from auditor.errors import AuditorError

        if isinstance(excinfo.value, AuditorError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, None, str]:
        """Return where the test stands: nowhere but in the target's name."""
        assert self.parent is not None
        return self.path, None, f"{self.parent.name}: {self.name}"


@pytest.fixture
def audit(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Return `audit(target, **options)`: the report, unless it has findings that do not pass.

    `target` is a path as for `audit run`, or an `auditor.Target`. Options are those of
    `audit run`, with underscores: `profile="quick"`, `fail_on="warning"`, `seed=1`.
    """
    def check(target: str | Target, **options: Any) -> Report:
        if isinstance(target, str):
            asked = _request(target, options, request.config)
            limit, report = asked.effective.fail_on, _audited(asked)
        else:
            from auditor.api import audit as audit_target

            limit = options.pop("fail_on", "error")
            report = audit_target(target, **options)
        if limit != "never":
            report.raise_on(limit)
        return report

    return check


def _request(target: str, options: dict[str, Any], config: pytest.Config) -> Request:
    from auditor.errors import AuditorError
    from auditor.request import request

    profile = config.getoption("--audit-profile")
    try:
        return request(target, {**({"profile": profile} if profile else {}), **options})
    except AuditorError as problem:
        raise pytest.UsageError(str(problem)) from problem


def _audited(asked: Request) -> Report:
    from auditor.baseline import with_baseline
    from auditor.command import known_findings
    from auditor.conduct import measured

    known = known_findings(asked, {})
    report = measured(asked, None, quiet=True).report
    return with_baseline(report, known, str(asked.effective.baseline)) if known else report
