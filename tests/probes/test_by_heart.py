"""Rates where no short trial gets below the best constant: what they learn by heart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import pytest
import torch
from builders import part_of_probes, target
from rate_cases import blobs, mlp
from torch import Tensor, nn
from torch.nn import functional

from auditor.isolation import seeded
from auditor.probe import Notebook, ProbeContext
from auditor.store import BatchStore
from auditor.target import WithTrainingStep

hearts, races, looks, tracks, plans, probe = map(part_of_probes, (
    "_by_heart", "_race", "_closer_look", "_track", "_rate_plan", "learning_rate"))
MASK, WORDS, LENGTH = 12, 13, 16


class Words(nn.Module):
    """Guesses words from those around them."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 32)
        self.places = nn.Parameter(torch.randn(LENGTH, 32) * 0.02)
        self.mix = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(32, WORDS)

    def forward(self, x: Tensor) -> Tensor:
        guessed: Tensor = self.head(self.mix(self.words(x) + self.places))
        return guessed


def masked_words(model: nn.Module, batch: Any) -> Tensor:
    (x, _) = batch
    hidden = torch.rand(x.shape) < 0.15
    return functional.cross_entropy(model(x.masked_fill(hidden, MASK))[hidden], x[hidden])


def answers_of_others(model: nn.Module, batch: Any) -> Tensor:
    (x, _) = batch
    hidden = torch.rand(x.shape) < 0.15
    words = x[hidden]
    return functional.cross_entropy(
        model(x.masked_fill(hidden, MASK))[hidden], words[torch.randperm(len(words))])


def by_heart(
    step: Callable[[nn.Module, Any], Tensor], rates: Sequence[float], winner: float = 4e-3,
    bearable: float = 1.0,
) -> tuple[Any, int]:
    """Return what is learned by heart, and the steps that it took."""
    drawn = torch.Generator().manual_seed(0)
    x = torch.randint(MASK, (320, LENGTH), generator=drawn)
    audited = target(
        Words, x, torch.zeros(len(x)), compute=WithTrainingStep(step), lr=rates[0])
    store, note = BatchStore(audited, 0), Notebook("learning_rate", ())
    context = ProbeContext(target=audited, batches=store, note=note, seed=0)
    with seeded(0):
        found = hearts.by_heart(context, rates, rates[0], winner, bearable, store.train(10))
    store.close()
    return found, note.steps


def race(*rates: float, user: float) -> Any:
    """Return a race that the last of these rates has won."""
    runs = [tracks.Run(lr, [3.0, 2.5], "finished", (2.5 - 0.01 * i,)) for i, lr in enumerate(rates)]
    return races.Race(runs, next(run for run in runs if run.lr == user), 2.5, 2.5)


def test_words_that_every_step_hides_anew_are_learned_after_the_best_constant() -> None:
    found, steps = by_heart(masked_words, [4e-3])

    assert found.tells and found.learned > hearts.HARDLY_ANY
    assert steps > hearts.BY_HEART


def test_answers_of_others_are_learned_by_heart_at_no_rate() -> None:
    found, steps = by_heart(answers_of_others, [4e-3])

    assert found.tells and found.learned < 0.01
    assert len(found.runs) == 5 and steps >= 5 * hearts.BY_HEART


def test_a_rate_that_learns_nothing_by_heart_far_above_one_that_does_is_overruled() -> None:
    found, _ = by_heart(masked_words, [0.5], winner=0.064)

    assert found.overrules(race(0.5, 0.064, user=0.5))
    raced = found.race(0.5)
    assert raced.best.lr == pytest.approx(4e-3)
    assert len(raced.best.losses) == len(raced.user.losses)
    look = looks.look_by_heart(found.track, raced, looks.CloserLook(None), hearts.BY_HEART, 2000)
    assert min(look.found.gaps) > 0.9 and min(look.found.warm_gaps) > 0.9
    assert not look.missing


def test_a_rate_far_below_one_that_learns_by_heart_is_asked_for_an_epoch_and_once_more() -> None:
    found, _ = by_heart(masked_words, [1e-6, 5e-4], winner=5e-4)

    assert found.overrules(race(1e-6, 5e-4, user=1e-6))
    raced = found.race(1e-6)
    assert raced.best.lr == pytest.approx(4e-3)
    look = looks.look_by_heart(found.track, raced, looks.CloserLook(None), hearts.BY_HEART, 600)
    assert look.progress < 0.5 and len(look.found.gaps) == 2 and min(look.found.gaps) > 0.9
    assert not look.missing


def test_rates_that_the_sweep_does_not_bear_are_not_tried_by_heart() -> None:
    found, _ = by_heart(masked_words, [1e-6, 5e-4], winner=5e-4, bearable=1e-3)

    assert max(run.lr for run in found.runs) == 5e-4


@pytest.mark.parametrize(("lr", "ended", "told"), [
    (0.5, "finished", True), (0.1, "finished", False), (0.5, "out-of-time", False),
])
def test_a_rate_a_hundred_times_too_high_needs_no_time_for_a_warm_up_but_a_whole_run(
    lr: float, ended: str, told: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(looks, "warm_up", lambda *given: False)
    track = by_heart(masked_words, [4e-3])[0].track
    runs = [tracks.Run(4e-3, [2.5], "finished", (1.0,)),
            tracks.Run(lr, [2.5], ended, (track.reference,))]
    raced = races.Race(runs, runs[1], track.reference, track.whole)

    look = looks.look_by_heart(track, raced, looks.CloserLook(None), hearts.BY_HEART, 2000)

    assert (not look.missing) is told


@pytest.mark.parametrize(("lr", "warm_gap", "told"), [
    (0.5, 1.0, True), (0.05, 1.0, False), (0.5, 0.5, False), (0.05, 0.2, True),
])
def test_beside_a_rate_that_has_only_begun_one_far_above_is_told_if_no_warm_up_helps(
    lr: float, warm_gap: float, told: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def warm_up(track: Any, best: Any, steps: int, found: Any) -> bool:
        found.warm_gaps.append(warm_gap)
        return True

    monkeypatch.setattr(looks, "warm_up", warm_up)
    monkeypatch.setattr(looks, "lengthened", lambda track, finalists, *given: finalists)
    monkeypatch.setattr(looks, "died_of_the_rate", lambda *given: 0.0)
    found, _ = by_heart(masked_words, [4e-3])
    track = found.track
    runs = [tracks.Run(4e-3, [2.5], "finished", (0.9 * track.reference,)),
            tracks.Run(lr, [2.5], "finished", (track.reference,))]
    raced = races.Race(runs, runs[1], track.reference, track.whole)
    plan = plans.Plan(650, points=40, heat=12, length=56, long=120)
    purse = plans.Purse(track.context, 650, 650, track.context.note.steps)

    look = looks.closer_look(track.context, track, raced, plan, purse, 2000, bearable=1.0)

    assert (not look.missing) is told


def test_a_winner_that_learns_nothing_by_heart_is_not_suggested() -> None:
    found, _ = by_heart(masked_words, [0.5, 4e-3], winner=0.5)

    assert found.overrules(race(4e-3, 0.5, user=4e-3))
    assert found.race(4e-3).best.lr == 4e-3


def test_a_winner_that_had_no_time_to_learn_by_heart_stands() -> None:
    found, _ = by_heart(masked_words, [4e-3])
    cut_short = tracks.Run(0.5, [2.5], "out-of-time", (found.track.reference,))
    found.runs.append(cut_short)

    assert not found.overrules(race(4e-3, 0.5, user=4e-3))


def test_a_race_stands_where_its_winner_and_the_users_rate_learn_by_heart() -> None:
    found, _ = by_heart(masked_words, [4e-3])

    assert not found.overrules(race(2e-3, 4e-3, user=4e-3))


@pytest.mark.parametrize(("lowest", "steps", "has_time"), [
    (1.0, 100, False), (1.0, 2000, True), (0.5, 100, True),
])
def test_the_leaders_of_a_race_that_learned_nothing_go_on_if_there_is_time_for_the_rest(
    lowest: float, steps: int, has_time: bool,
) -> None:
    audited = target(mlp, *blobs())
    store = BatchStore(audited, 0)
    context = ProbeContext(
        target=audited, batches=store, note=Notebook("learning_rate", ()), step_seconds=1.0,
        deadline=time.monotonic() + steps)
    plan = plans.Plan(650, points=40, heat=12, length=56, long=120)
    with seeded(0):
        track = tracks.Track(context, 4)
    store.close()
    ended = [tracks.Run(lr, [], "finished", (lowest * track.reference,)) for lr in (0.1, 0.2, 0.4)]
    raced = races.Race(ended, ended[0], track.reference, track.whole)

    assert probe._Look(context, plan, 650)._has_time_to_decide(track, raced) is has_time


@pytest.mark.parametrize(("to_go", "better", "gap", "has_formula"), [
    (0.9, 1.01, 1.0, True), (0.5, 1.01, 0.0, True), (0.9, 1.2, 0.0, True), (1.0, 0.5, 1.5, True),
    (2.0, 1.2, 1.0, True), (2.0, 1.2, 0.0, False), (1.1, 1.2, 0.0, True),
])
def test_beside_a_run_that_learned_nothing_one_that_hardly_began_or_blew_up_is_behind(
    to_go: float, better: float, gap: float, has_formula: bool,
) -> None:
    def far_off() -> nn.Module:
        model = mlp()
        nn.init.normal_(model[-1].weight)  # type: ignore[index]
        return model

    audited = target(far_off, *blobs())
    store = BatchStore(audited, 0)
    with seeded(0):
        track = tracks.Track(ProbeContext(
            target=audited, batches=store, note=Notebook("learning_rate", ())), 4)
    store.close()
    constant, start = track.constant, fmean(track.before)
    if not has_formula:
        track.uninformed = None
    user = constant + to_go * (start - constant) if better > 1 else 1.25 * constant

    ended = [tracks.Run(0.1, [], "finished", (loss,)) for loss in (user, better * constant)]

    assert start > 1.3 * constant
    assert track.gap(*ended) == pytest.approx(gap)
