"""Targets, remedies and reports for tests of trials."""
from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import torch
from builders import target
from torch import nn

from auditor.collected import Bounds
from auditor.counterfactual import Lab
from auditor.finding import Finding, Fix, Verdict
from auditor.mending import set_rate, with_optimizer
from auditor.remedy import CannotMend, Case, Mended
from auditor.report import Report, RuleSummary
from auditor.store import BatchStore
from auditor.target import Target
from auditor.tryout import Tryout


def blobs(count: int = 600) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(count) % 3
    centres = 2.0 * torch.randn(3, 6, generator=generator)
    return centres[y] + torch.randn(count, 6, generator=generator), y


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def crawling(**changes: Any) -> Target:
    return target(small, *blobs(), optimizer=torch.optim.SGD, lr=1e-6, **changes)


def at_rate(lr: float) -> Mended:
    def change(optimizer: torch.optim.Optimizer, _: nn.Module) -> None:
        for group in optimizer.param_groups:
            set_rate(group, lr)

    return Mended(lambda mended: with_optimizer(mended, change))


def lab_of(audited: Target, steps: int = 30) -> Lab:
    return Lab(audited, BatchStore(audited, 0), seed=0, steps=steps, deadline=math.inf)


def found(rule: str = "lr-too-low", *fixes: Fix, **changes: Any) -> Finding:
    plain = Finding(rule=rule, category="learning-rate", severity="error", confidence="high",
                    title=rule, message="Seen.", fixes=fixes or (Fix("x", remedy="good"),))
    return replace(plain, **changes)


def judged(*findings: Finding, **verdicts: str) -> Report:
    names = {f.rule: Verdict("fired") for f in findings}
    others = {rule.replace("_", "-"): Verdict(v) for rule, v in verdicts.items()}  # type: ignore[arg-type]
    every = {**names, **others}
    return Report("fail", findings=findings, verdicts=every,
                  rules={r: RuleSummary("learning-rate", "error", r, r) for r in every})


class Good:
    name: ClassVar[str] = "good"
    says: ClassVar[str] = "a rate that learns"

    def mend(self, case: Case) -> Mended:
        return replace(at_rate(0.3), says="Set the rate to 0.3.")


class Useless:
    name: ClassVar[str] = "useless"
    says: ClassVar[str] = "nothing"

    def mend(self, case: Case) -> Mended:
        return Mended(lambda mended: mended)


class Broken:
    name: ClassVar[str] = "broken"
    says: ClassVar[str] = "raises"

    def mend(self, case: Case) -> Mended:
        raise ZeroDivisionError("oops")


class Impossible:
    name: ClassVar[str] = "impossible"
    says: ClassVar[str] = "never applies"

    def mend(self, case: Case) -> Mended:
        raise CannotMend("there is nothing to change")


REMEDIES = {remedy.name: remedy for remedy in (Good, Useless, Broken, Impossible)}


def tried(report: Report, audited: Target, again: Report | None = None,
          deadline: float = math.inf, workers: int = 1, step_seconds: float = 0.0) -> Report:
    seen = again or Report("pass")
    return Tryout(report, Bounds(
        audited, BatchStore(audited, 0), REMEDIES, 0, step_seconds, deadline,
        lambda mended, store, depth: seen, workers)).run()
