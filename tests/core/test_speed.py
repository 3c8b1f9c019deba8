"""The benchmark of speed measures what it says it measures."""

from __future__ import annotations

import time
from xml.etree import ElementTree

import pytest

timing = pytest.importorskip("benchmarks.speed.timing", reason="lies beside the sources")
scale = pytest.importorskip("benchmarks.speed.scale")
models = pytest.importorskip("benchmarks.speed.models")
peers = pytest.importorskip("benchmarks.speed.peers")


def _busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_step_that_takes_half_as_long_again_is_found_to() -> None:
    found = timing.interleaved(
        {"plain": lambda: _busy(0.004), "longer": lambda: _busy(0.006)}, seconds=0.1)

    assert found["longer"].median == pytest.approx(1.5, abs=0.15)
    assert found["plain again"].median == pytest.approx(1.0, abs=0.1)
    assert found["longer"].low <= found["longer"].median <= found["longer"].high


def test_a_slow_step_is_timed_by_itself() -> None:
    found = timing.alone(lambda: _busy(0.02), lambda: _busy(0.002))

    assert found.median == pytest.approx(10, rel=0.2)
    assert found.low <= found.median <= found.high


def test_a_peer_that_fails_is_told_and_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(training: object) -> None:
        raise ValueError("no such layer")

    monkeypatch.setattr(peers, "found", lambda: {
        "broken": broken, "whole": lambda training: training.step})

    steps, faults = peers.started(lambda: models.Training("mlp", functional=False))

    assert list(steps) == ["whole"]
    assert faults == {"broken": "ValueError: no such layer"}


@pytest.mark.parametrize("name", ["mlp", "lenet", "gpt"])
@pytest.mark.parametrize("functional", [True, False])
def test_a_step_of_each_model_moves_its_weights(name: str, functional: bool) -> None:
    training = models.Training(name, functional=functional)
    before = [parameter.detach().clone() for parameter in training.model.parameters()]

    training.step()

    assert any((a != b).any() for a, b in zip(before, training.model.parameters(), strict=True))


def test_the_plot_is_an_svg_with_a_curve_for_each_line() -> None:
    text = scale.drawn({"depth": [(1, 1.0), (10, 9.0)], "width": [(2, 1.0), (4, 3.0)]})

    curves = ElementTree.fromstring(text).findall("{http://www.w3.org/2000/svg}polyline")
    assert len(curves) == 2
    assert scale._slope([(1, 1.0), (10, 10.0)]) == pytest.approx(1.0)
