"""Whatever runs inside, the process is bit-equal afterwards."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from auditor.isolation import Defaults, quiet_stdout, seeded, undisturbed


def nothing_goes_wrong() -> None:
    """End normally."""


def raises() -> None:
    """End with an error."""
    raise ValueError("in the user's forward")


def is_interrupted() -> None:
    """End with an interrupt."""
    raise KeyboardInterrupt


ENDS = (nothing_goes_wrong, raises, is_interrupted)


def state() -> dict[str, Any]:
    """Return everything that a program may change."""
    return {
        "python": random.getstate(),
        "numpy": [np.asarray(part).tolist() for part in np.random.get_state()],
        "torch": torch.get_rng_state().tolist(),
        "defaults": Defaults.now(),
        "filters": list(warnings.filters),
        "modes": torch._C._len_torch_function_stack(),
    }


def disturb() -> None:
    """Change all of it."""
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("medium")
    torch.set_num_threads(2)
    torch.autograd.set_detect_anomaly(True)
    warnings.simplefilter("ignore")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("isolation", [undisturbed, lambda: seeded(3)])
def test_everything_is_put_back(isolation: Callable[[], Any], end: Callable[[], None]) -> None:
    before = state()

    try:
        with isolation():
            disturb()
            end()
    except (ValueError, KeyboardInterrupt):
        pass

    assert state() == before


def test_the_same_seed_gives_the_same_numbers_in_all_generators() -> None:
    def draw(seed: int) -> tuple[float, float, float]:
        with seeded(seed):
            return random.random(), float(np.random.rand()), float(torch.rand(()))

    assert draw(1) == draw(1)
    assert all(one != other for one, other in zip(draw(1), draw(2), strict=True))


def test_an_inner_isolation_does_not_move_the_outer_one() -> None:
    with seeded(1):
        expected = torch.rand(4)
    with seeded(1):
        first = torch.rand(2)
        with seeded(5):
            torch.rand(100)
        assert torch.equal(torch.cat([first, torch.rand(2)]), expected)


@pytest.mark.parametrize("end", ENDS)
def test_what_is_printed_goes_to_stderr(end: Callable[[], None]) -> None:
    script = f"""
import os, subprocess, sys
from auditor.isolation import quiet_stdout
print("before")
try:
    with quiet_stdout():
        print("python")
        os.write(1, b"c code\\n")
        subprocess.run([sys.executable, "-c", "print('child')"])
        {"raise ValueError" if end is raises else
         "raise KeyboardInterrupt" if end is is_interrupted else "pass"}
except (ValueError, KeyboardInterrupt):
    pass
print("after")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    assert done.stdout.split() == ["before", "after"]
    assert sorted(done.stderr.split()) == ["c", "child", "code", "python"]


def test_a_stdout_that_was_replaced_is_put_back() -> None:
    stream = sys.stdout

    with quiet_stdout():
        assert sys.stdout is sys.stderr

    assert sys.stdout is stream
