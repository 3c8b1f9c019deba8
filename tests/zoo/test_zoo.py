"""Every classical case: the named rule is the root cause, and the healthy twin raises no alarm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditor import audit

ZOO = Path(__file__).parent


def members() -> Iterator[Any]:
    """Yield every member; of a quick case the first sick and the first healthy one are quick.

    Of a case whose sick member alone is quick the healthy twin is not.
    """
    for expectations in sorted(ZOO.glob("*/expect.yaml")):
        case = yaml.safe_load(expectations.read_text(encoding="utf-8"))
        seen: set[bool] = set()
        for member in case["members"]:
            healthy = bool(member.get("healthy"))
            quick = healthy not in seen and case["quick"] in (True, "healthy" if healthy else "sick")
            seen.add(healthy)
            yield pytest.param(
                expectations.parent / member["file"], member, quick,
                id=f"{expectations.parent.name}/{member['file']}",
            )


@pytest.mark.zoo
@pytest.mark.parametrize(("path", "expected", "quick"), list(members()))
def test_a_member_is_diagnosed(
    path: Path, expected: dict[str, Any], quick: bool, request: pytest.FixtureRequest,
) -> None:
    if not quick and not request.config.getoption("--all-members"):
        pytest.skip("slow member: run by `make zoo`")

    report = audit(str(path), budget_seconds=120.0, trials=bool(expected.get("trials")))

    alarms = {f.rule: f for f in report.findings if f.severity != "info"}
    roots = {finding.rule for finding in report.findings if not finding.causes}
    if expected.get("healthy"):
        assert not alarms, {rule: finding.title for rule, finding in alarms.items()}
        return
    needed, any_of = set(expected.get("roots", ())), set(expected.get("any_root", ()))
    allowed = needed | any_of | set(expected.get("allowed", ()))
    assert needed <= roots, sorted(roots)
    assert not any_of or any_of & roots, sorted(roots)
    assert set(expected.get("consequences", ())) <= {f.rule for f in report.findings}
    assert not (roots & set(alarms)) - allowed, sorted((roots & set(alarms)) - allowed)
