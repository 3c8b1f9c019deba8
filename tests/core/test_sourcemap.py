"""Every layer, optimizer, loader and loss is found at its expression in the user's file."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from auditor.observation import Place
from auditor.sourcemap import (
    forget,
    place_of_argument,
    place_of_caller,
    place_of_definition,
    recording,
    take_layer_places,
    take_place,
)

EXACT = sys.version_info >= (3, 11)
HEAD = "import copy, functools, sys\nimport torch\nfrom torch import nn\n"


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Return a function that runs a file with recording on and returns its names."""
    def running(source: str) -> dict[str, Any]:
        file = tmp_path / "mine.py"
        file.write_text(HEAD + dedent(source), encoding="utf-8")
        values: dict[str, Any] = {"__name__": "mine", "__file__": str(file)}
        with recording():
            exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), values)
        return values

    return running


def expression(place: Place) -> str:
    """Return the text that a place marks; the whole line where only that is known."""
    if not EXACT:
        return place.code
    if place.line == place.end_line:
        return place.code[place.column - 1:place.end_column - 1]
    lines = Path(place.file).read_text(encoding="utf-8").splitlines()
    part = lines[place.line - 1:place.end_line]
    part[-1] = part[-1][:place.end_column - 1]
    part[0] = part[0][place.column - 1:]
    return "\n".join(part)


def expressions(model: nn.Module) -> dict[str, str]:
    """Return the text that makes each layer."""
    return {path: expression(place) for path, place in take_layer_places(model).items()}


@pytest.mark.skipif(not EXACT, reason="columns need Python 3.11")
def test_layers_on_one_line_have_their_own_columns(run: Any) -> None:
    found = expressions(run("m = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))")["m"])

    assert found == {
        "": "nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))",
        "0": "nn.Linear(2, 3)", "1": "nn.ReLU()", "2": "nn.Linear(3, 1)",
    }


def test_layers_of_classes_loops_and_factories_are_found(run: Any) -> None:
    found = expressions(run("""
def norm(make, width):
    return make(width)
class Block(nn.Module):
    def __init__(this, width):
        nn.Module.__init__(this)
        this.fc = nn.Linear(width, width)
        this.norm = norm(functools.partial(nn.BatchNorm1d, eps=1e-3), width)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(w) for w in (2, 3)])
        self.heads = nn.ModuleDict({k: nn.Linear(3, 1) for k in "ab"})
        setattr(self, "last", getattr(nn, "Linear")(3, 1))
m = Net()
""")["m"])

    assert found[""].endswith("Net()")
    assert "Block(w)" in found["blocks.0"] and "Block(w)" in found["blocks.1"]
    assert "nn.Linear(width, width)" in found["blocks.0.fc"]
    assert "make(width)" in found["blocks.1.norm"]
    assert "nn.Linear(3, 1)" in found["heads.b"]
    assert 'getattr(nn, "Linear")(3, 1)' in found["last"]


def test_layers_that_a_library_builds_stand_on_the_users_own_line(run: Any) -> None:
    found = expressions(run("""
m = nn.Module()
m.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2), 2)
m.attention = nn.MultiheadAttention(8, 2)
""")["m"])

    assert "nn.TransformerEncoderLayer(8, 2)" in found["encoder.layers.1.self_attn.out_proj"]
    assert "nn.MultiheadAttention(8, 2)" in found["attention.out_proj"]


def test_deep_copies_keep_the_place_of_the_original(run: Any) -> None:
    found = expressions(run("""
block = nn.Linear(2, 2)
normed = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
m = nn.Sequential(block, copy.deepcopy(block), normed)
""")["m"])

    assert "nn.Linear(2, 2)" in found["0"] and found["0"] == found["1"]
    assert "nn.Linear(2, 2)" in found["2"]


@pytest.mark.skipif(not EXACT, reason="columns need Python 3.11")
def test_columns_are_characters_and_not_bytes(run: Any) -> None:
    place = take_place(run("größe = 'ä→'; m = nn.Linear(2, 3)  # Schicht")["m"])

    assert place is not None and expression(place) == "nn.Linear(2, 3)"
    assert place.column == place.code.index("nn.") + 1


def test_a_call_over_several_lines_ends_on_its_last(run: Any) -> None:
    place = take_place(run("m = nn.Linear(\n    2,\n    3,\n)")["m"])

    assert place is not None and place.line == 4
    assert not EXACT or (place.end_line, place.end_column) == (7, 2)


def test_optimizers_loaders_schedules_and_losses_are_found(run: Any) -> None:
    values = run("""
from torch.utils.data import DataLoader
from torch.optim.lr_scheduler import StepLR
loss = nn.MSELoss()
optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
scheduler = StepLR(optimizer, 3)
loader = DataLoader([1, 2])
""")

    for name, text in (("loss", "nn.MSELoss()"), ("optimizer", "torch.optim.SGD("),
                       ("scheduler", "StepLR(optimizer, 3)"), ("loader", "DataLoader([1, 2])")):
        place = take_place(values[name])
        assert place is not None and text in expression(place)


@pytest.mark.skipif(not EXACT, reason="columns need Python 3.11")
def test_an_argument_of_a_call_is_found(run: Any) -> None:
    place = take_place(run("""
o = torch.optim.SGD(
    nn.Linear(2, 1).parameters(),
    lr=0.5, momentum=0.9,
)
""")["o"])
    assert place is not None

    lr, params = place_of_argument(place, "lr"), place_of_argument(place, 0)

    assert lr is not None and expression(lr) == "lr=0.5" and lr.line == place.line + 2
    assert params is not None and expression(params) == "nn.Linear(2, 1).parameters()"
    assert place_of_argument(place, "weight_decay") is None
    assert place_of_argument(place, 4) is None


def test_a_layer_made_before_the_recording_has_the_place_of_its_users_class(
        tmp_path: Path) -> None:
    file = tmp_path / "early.py"
    file.write_text(HEAD + "def same(c): return c\n@same\nclass Net(nn.Module): pass\n")
    values: dict[str, Any] = {"__name__": "early", "__file__": str(file)}
    exec(compile(file.read_text(), str(file), "exec"), values)
    sys.modules["early"] = module = type(sys)("early")
    vars(module).update(values)
    try:
        places = take_layer_places(nn.Sequential(values["Net"](), nn.Linear(2, 2)))
    finally:
        del sys.modules["early"]

    assert places["0"].line == 6 and "1" not in places


def test_the_users_functions_have_places_and_the_librarys_do_not() -> None:
    assert place_of_definition(nn.Linear) is None
    assert place_of_definition(nn.functional.relu) is None
    assert place_of_definition(3) is None
    found = place_of_definition(expressions)
    assert found is not None and "def expressions" in found.code


def test_the_line_that_led_here_is_found() -> None:
    place = place_of_caller()

    assert place is not None and "place_of_caller()" in expression(place)
    assert Path(place.file).name == "test_sourcemap.py"


def test_nothing_of_the_recording_is_left(run: Any) -> None:
    before = [cls.__init__ for cls in (nn.Module, torch.optim.Optimizer, DataLoader)]
    values = run("m = nn.Sequential(nn.Linear(2, 2))\no = torch.optim.SGD(m.parameters(), lr=1.0)")

    take_layer_places(values["m"])
    forget(values["o"])

    assert [cls.__init__ for cls in (nn.Module, torch.optim.Optimizer, DataLoader)] == before
    assert not any("place" in key for m in values["m"].modules() for key in vars(m))
    assert not any("place" in key for key in vars(values["o"]))


def test_recording_ends_also_when_the_file_raises(run: Any) -> None:
    before = nn.Module.__init__

    with pytest.raises(ZeroDivisionError):
        run("m = nn.Linear(2, 2)\n1 / 0")

    assert nn.Module.__init__ is before


@pytest.mark.filterwarnings("ignore")
def test_recorded_modules_are_ordinary_modules() -> None:
    with recording():
        assert list(inspect.signature(nn.Module.__init__).parameters)[0] == "self"
        assert list(inspect.signature(DataLoader.__init__).parameters)[1] == "dataset"
        model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        x = torch.ones(1, 2)
        expected = model(x)

        assert torch.equal(pickle.loads(pickle.dumps(model))(x), expected)
        assert torch.equal(copy.deepcopy(model)(x), expected)
        assert torch.equal(torch.jit.script(model)(x), expected)
        assert torch.equal(torch.compile(model, backend="eager")(x), expected)
        assert set(model.state_dict()) == {"0.weight", "0.bias"}
