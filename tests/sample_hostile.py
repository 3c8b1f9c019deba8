"""A report in which every string that comes from a user or a pack tries to break out."""

from __future__ import annotations

from dataclasses import replace

from sample_reports import failing

from auditor.finding import Evidence, Finding, Fix, TrialOutcome
from auditor.observation import Place
from auditor.report import Layer, Report

HOSTILE = (
    "[bold red]x[/nothing] \x1b[31mred\x1b[0m \x07 \u202etxt.exe <script>alert(1)</script> "
    "<img src=x onerror=alert(2)> a|b `tick` ``` @octocat #123 http://evil.example/a "
    "www.evil.example [here](https://evil.example) ![i](https://evil.example/i.png) "
    "javascript:alert(3) \"quoted\" 'single' &amp; </details></summary> $x$ :tada: *em* _em_ \\"
)


def hostile() -> Report:
    """Return the broken report with one finding more, all of whose strings are `HOSTILE`."""
    broken = failing()
    return replace(
        broken,
        findings=(_finding(), *broken.findings),
        target={**broken.target, "file": HOSTILE, "model": HOSTILE, HOSTILE: HOSTILE},
        layers=(Layer(HOSTILE, HOSTILE, 1, _place()), *broken.layers),
        environment={**broken.environment, "device": HOSTILE, HOSTILE: [HOSTILE]},
        observations=tuple(
            replace(seen, reason=HOSTILE,
                    series=tuple(replace(s, label=HOSTILE, x_unit=HOSTILE) for s in seen.series))
            for seen in broken.observations),
        probes=tuple(replace(probe, reason=HOSTILE) for probe in broken.probes),
        notes=(HOSTILE,),
        verdicts={rule: replace(found, reason=HOSTILE) for rule, found in broken.verdicts.items()},
        rules={rule: replace(told, title=HOSTILE, title_pass=HOSTILE)
               for rule, told in broken.rules.items()},
    )


def _place() -> Place:
    return Place(HOSTILE, 3, 5, 3, 40, f"    {HOSTILE}")


def _finding() -> Finding:
    outcome = TrialOutcome("harms", HOSTILE, {HOSTILE: HOSTILE}, {HOSTILE: 1.0}, ("x",))
    return Finding(
        rule="hostile-strings", category="data", severity="error", confidence="low",
        title=HOSTILE, message=HOSTILE, why=HOSTILE, layers=(HOSTILE, HOSTILE + "2"),
        place=_place(),
        evidence=(Evidence("overfit_loss", HOSTILE, HOSTILE, HOSTILE, ">", 1.0, "limit", HOSTILE,
                           HOSTILE),),
        consequences=("cannot-overfit",),
        fixes=(Fix(HOSTILE, f"x = 1\n```\n~~~\n{HOSTILE}\n", HOSTILE, trial=outcome),),
        references=(HOSTILE,),
    )
