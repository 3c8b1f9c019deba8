"""The benchmark of suggested rates has three sets of set-ups, each with seeds of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="the benchmarks lie beside the sources")


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


@pytest.mark.parametrize(("option", "name", "seed"), [
    ([], "gpt-adam", 0),
    (["--development"], "gru-adam", 10),
    (["--development"], "vit-adamw", 10),
    (["--held-out"], "unet-adam", 30),
])
def test_an_option_chooses_the_set_and_its_first_seed(
    option: list[str], name: str, seed: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    from benchmarks import learning_rate

    # A valley instead of a training: nothing to learn at 0, the best loss at the fourth rate.
    best = learning_rate.GRID[3]
    monkeypatch.setattr(learning_rate, "final_loss", lambda setup, lr, seed: (
        1.0, min(1.0, abs(lr - best) / best)))
    monkeypatch.setattr(learning_rate, "finders", lambda: {"half": lambda *_: (best / 2, 7)})
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(sys, "argv", [
        "learning_rate", *option, "--setups", name, "--seeds", "1", "--store", str(tmp_path)])
    learning_rate.main()

    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{name}/{seed}: best loss of the grid 0"
    assert any(line.split() == [f"{name}/{seed}", f"{best / 2:.2e}", "0.5000"] for line in printed)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}-{seed}.json"]


def test_the_sets_can_be_kept_in_one_folder() -> None:
    from benchmarks.learning_rate_development import DEVELOPMENT
    from benchmarks.learning_rate_development_more import MORE
    from benchmarks.learning_rate_held_out import HELD_OUT
    from benchmarks.learning_rate_setups import SETUPS

    names = [*SETUPS, *DEVELOPMENT, *MORE, *HELD_OUT]
    assert len({*names}) == len(names)


def test_every_set_up_that_is_or_was_held_out_can_be_trained() -> None:
    from benchmarks.learning_rate_development_more import MORE
    from benchmarks.learning_rate_held_out import HELD_OUT

    for setup in (MORE | HELD_OUT).values():
        torch.manual_seed(0)
        model = setup.make_model()
        optimizer = setup.make_optimizer(model, 1e-3)
        for x, y in setup.stream(0, 2):
            optimizer.zero_grad()
            loss = setup.loss(model(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

            assert len(x) == setup.batch_size
            assert loss.isfinite(), setup.name
        for name, weights in model.named_parameters():
            assert weights.grad is not None and weights.grad.isfinite().all(), (setup.name, name)
