"""The user's file runs as Python would run it, and the process is as it was afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from userfiles import DATA, HEAD, LOSS, NET, WHOLE, Write, steps, writer

from auditor.errors import TargetError
from auditor.loading import load


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


def test_the_process_is_as_it_was(write: Write) -> None:
    file = write("""
import os, random, sys, warnings
import numpy as np
sys.path.append("/nowhere"); sys.argv.append("x"); os.chdir("/")
warnings.simplefilter("error")
""" + WHOLE + """
torch.set_default_dtype(torch.float64)
torch.manual_seed(3); np.random.seed(3); random.seed(3)
torch.use_deterministic_algorithms(True)
x = x.double()
train_loader = DataLoader(TensorDataset(x, y), batch_size=8)
""")

    def state() -> tuple[Any, ...]:
        import random
        import warnings

        import numpy as np
        return (list(sys.path), list(sys.argv), os.getcwd(), list(warnings.filters),
                torch.get_default_dtype(), torch.get_rng_state().tolist(), random.getstate(),
                np.random.get_state()[1].tolist(), torch.are_deterministic_algorithms_enabled(),  # type: ignore[index]
                sys.dont_write_bytecode, nn.Module.__init__, "model" in sys.modules)

    before = state()
    target = load(file)
    assert state() == before
    steps(target)
    assert state() == before


def test_the_defaults_that_the_file_sets_hold_in_trials(write: Write) -> None:
    target = load(write("import torch\ntorch.set_default_dtype(torch.float64)" + WHOLE))

    assert target.make_model().fc.weight.dtype is torch.float64  # type: ignore[union-attr]
    assert len(steps(target)) == 3


def test_no_bytecode_is_left_beside_the_users_file(write: Write) -> None:
    write("width = 4", "settings.py")
    file = write("from settings import width\n" + WHOLE)

    load(file)

    assert not (Path(file).parent / "__pycache__").exists()


def test_what_the_audit_makes_itself_has_no_line_of_its_callers(write: Write) -> None:
    target = load(write(HEAD + LOSS + NET + "train_set = TensorDataset(x, y)"))

    assert target.loader_place is not None
    assert target.loader_place.code == "train_set = TensorDataset(x, y)"
    assert "class Net" in target.places[""].code and "nn.Linear" in target.places["fc"].code




def test_neighbours_and_relative_imports_are_found(write: Write) -> None:
    write("", "project/__init__.py")
    write("", "project/nets/__init__.py")
    write(HEAD + NET, "project/nets/parts.py")
    write("width = 4", "project/nets/beside.py")
    file = write("from .parts import *\nfrom ..nets import parts\nimport beside\n"
                 + DATA + LOSS + "def build_model():\n    from .parts import Net\n    return Net()",
                 "project/nets/model.py")

    assert len(steps(load(file))) == 3


def test_two_projects_may_have_modules_of_the_same_name(write: Write) -> None:
    for width in (4, 5):
        write(f"width = {width}", f"p{width}/helper.py")
        write("from helper import width\n" + WHOLE + "def build_model():\n"
              "    import helper\n    return nn.Sequential(Net(), nn.Linear(2, helper.width))",
              f"p{width}/model.py")
    folder = Path(write("", "x")).parent
    first, second = load(str(folder / "p4/model.py")), load(str(folder / "p5/model.py"))

    assert [t.make_model()[1].out_features for t in (first, second, first)] == [4, 5, 4]  # type: ignore[index]


@pytest.mark.parametrize("name", [
    "html.py", "re.py", "auditor.py", "torch.py", "my model-2.py", "rules.py", "2nd.py",
])
def test_the_file_may_have_any_name(write: Write, name: str) -> None:
    assert len(steps(load(write(WHOLE, name)))) == 3


def test_a_neighbour_called_like_a_standard_module_is_the_users(write: Write) -> None:
    import profile

    write("width = 4", "profile.py")
    for other in ("html.py", "cProfile.py", "sympy.py", "winreg.py"):
        write("raise SystemExit('not this one')", other)
    target = load(write("from profile import width\n" + WHOLE))

    assert len(steps(target)) == 3
    assert sys.modules["profile"] is profile


def test_a_neighbour_called_auditor_is_refused_clearly(write: Write) -> None:
    write("width = 4", "auditor.py")

    with pytest.raises(TargetError, match="the auditor's own name"):
        load(write("from auditor import width\n" + WHOLE))


def test_a_module_is_found_from_the_working_folder(
        write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("", "package/__init__.py")
    file = write(WHOLE + "tiny = Net()", "package/nets.py")
    monkeypatch.chdir(Path(file).parent.parent)

    assert load("package.nets:tiny").names["model"] == "tiny"


def test_arguments_are_parsed_and_the_main_part_is_not_run(write: Write) -> None:
    target = load(write("""
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int, default=4)
args = parser.parse_args()
""" + WHOLE + "if __name__ == '__main__':\n    raise RuntimeError('training')"))

    assert len(steps(target)) == 3


def test_workers_of_a_loader_find_the_users_classes(write: Write) -> None:
    target = load(write(HEAD + LOSS + NET + """
class Points(Dataset):
    def __len__(self): return 16
    def __getitem__(self, i): return x[i], y[i]
train_loader = DataLoader(Points(), batch_size=4, num_workers=1,
                          multiprocessing_context="spawn", persistent_workers=True)
"""))
    with target.surroundings():
        assert len(steps(target)) == 3
        assert sys.modules["model"].train_loader._iterator is None


def test_the_loaders_generator_is_not_moved(write: Write) -> None:
    target = load(write(HEAD + LOSS + NET + """
g = torch.Generator().manual_seed(5)
train_loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True, generator=g)
"""))
    with target.surroundings():
        generator = sys.modules["model"].g
    before = generator.get_state()

    steps(target)

    assert torch.equal(before, generator.get_state())


def test_a_datasets_own_counters_are_not_moved(write: Write) -> None:
    target = load(write(HEAD + LOSS + NET + """
class Noisy(Dataset):
    def __init__(self): self.asked, self.noise = 0, torch.Generator().manual_seed(1)
    def __len__(self): return 16
    def __getitem__(self, i):
        self.asked += 1
        return x[i] + torch.randn(4, generator=self.noise), y[i]
train_set = Noisy()
"""))
    steps(target)

    with target.surroundings():
        assert sys.modules["model"].train_set.asked == 0
