"""Every remedy helps where its fault is, and leaves no trace."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from remedy_cases import CASES, REMEDIES, WITHOUT_CASE, case_of

from auditor import batches, registry
from auditor.candidate import Candidate, try_on_top
from auditor.counterfactual import Lab
from auditor.store import BatchStore


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_remedy_helps_where_its_fault_is(name: str) -> None:
    audited, given = CASES[name]
    case = case_of(name, audited, **given)
    one = Candidate(case.finding, 0, REMEDIES[name]().mend(case))

    try_on_top(Lab(audited, case.batches, seed=0, steps=60, deadline=math.inf), one, [])

    assert one.outcome.status == "helps", one.outcome


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_remedy_leaves_no_trace(name: str) -> None:
    audited, given = CASES[name]
    model = audited.make_model()
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    private = replace(audited, make_model=lambda: copy.deepcopy(model), reinitialises=False)
    state = torch.get_rng_state()
    stored = [batches.private(batch) for batch in BatchStore(private, 0).train(2)]
    case = case_of(name, private, **given)
    one = Candidate(case.finding, 0, REMEDIES[name]().mend(case))

    try_on_top(Lab(private, case.batches, seed=0, steps=4, deadline=math.inf), one, [])

    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
    for old, new in zip(stored, BatchStore(private, 0).train(2), strict=True):
        assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(
            batches.tensors_of(old), batches.tensors_of(new), strict=True))


def test_every_remedy_is_shown_to_help_or_listed() -> None:
    assert set(REMEDIES) == set(CASES) | WITHOUT_CASE


def test_packs_name_only_remedies_that_exist() -> None:
    known = registry.remedies().items
    named = {fix.remedy for rule in registry.rules().items.values() for fix in rule.fixes
             if fix.remedy}

    assert named <= set(known)


def test_every_remedy_is_named_by_a_pack() -> None:
    named = {fix.remedy for rule in registry.rules().items.values() for fix in rule.fixes}

    assert set(REMEDIES) <= named
