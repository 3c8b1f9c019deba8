"""Edits of a user's file: what stays, what changes, and where they are refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from auditor.fixcommand import diff
from auditor.observation import Place
from auditor.patching import Names, patched
from auditor.sourceedit import Edit
from auditor.sourcetree import Unsure

FILE = '''import torch
from torch import nn

LR = 0.5  # fast


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))  # ünïcode

    def forward(self, x):
        h = torch.tanh(x)
        return torch.softmax(self.head(h), dim=1)  # twice


def build_model():
    # one model
    return Net()


def optimizer(model):
    return torch.optim.SGD(
        model.head.parameters(),
        lr=LR,  # see above
    )


loader = DataLoader(data, batch_size=4)  # ordered
loss_fn = nn.BCELoss()
'''
NAMES = Names({"model": "build_model"}, "Net")


def place(code: str, text: str = FILE) -> Place:
    begin = text.index(code)
    line = text.count("\n", 0, begin) + 1
    column = begin - (text.rfind("\n", 0, begin) + 1) + 1
    end = begin + len(code)
    return Place("model.py", line, column, text.count("\n", 0, end) + 1,
                 end - (text.rfind("\n", 0, end) + 1) + 1)


def line_of(code: str) -> Place:
    return Place("model.py", FILE.count("\n", 0, FILE.index(code)) + 1)


OPTIMIZER = FILE[FILE.index("torch.optim.SGD("):FILE.index(")\n\n\nloader") + 1]


@pytest.mark.parametrize(("edit", "old", "new"), [
    (Edit("set-keyword", place(OPTIMIZER), "lr", "0.02", 1), "LR = 0.5  # fast",
     "LR = 0.02  # fast"),
    (Edit("set-keyword", place(OPTIMIZER), "weight_decay", "0"), "lr=LR,  # see above",
     "lr=LR, weight_decay=0,  # see above"),
    (Edit("set-keyword", place("DataLoader(data, batch_size=4)"), "shuffle", "True"),
     "batch_size=4)  # ordered", "batch_size=4, shuffle=True)  # ordered"),
    (Edit("first-argument", place(OPTIMIZER)), "model.head.parameters()", "model.parameters()"),
    (Edit("replace-call", place("nn.Softmax(dim=1)"), "softmax", "Identity()"),
     "nn.Softmax(dim=1))  # ünïcode", "nn.Identity())  # ünïcode"),
    (Edit("drop-call", line_of("def forward"), "softmax"),
     "torch.softmax(self.head(h), dim=1)", "self.head(h)"),
    (Edit("rename-call", place("nn.BCELoss()"), "BCELoss", "BCEWithLogitsLoss"),
     "nn.BCELoss()", "nn.BCEWithLogitsLoss()"),
    (Edit("squeeze-output", code=".squeeze(-1)"), "self.head(h), dim=1)  # twice",
     "self.head(h), dim=1).squeeze(-1)  # twice"),
    (Edit("after-construction", code="nn.init.zeros_(model.head[0].bias)"), "    return Net()\n",
     "    model = Net()\n    nn.init.zeros_(model.head[0].bias)\n    return model\n"),
])
def test_only_the_change_itself_is_written(edit: Edit, old: str, new: str) -> None:
    assert FILE.count(old) == 1

    assert patched(FILE, [edit], NAMES) == FILE.replace(old, new)


def test_several_edits_are_made_at_once() -> None:
    text = patched(FILE, [
        Edit("set-keyword", place(OPTIMIZER), "lr", "0.02", 1),
        Edit("first-argument", place(OPTIMIZER)),
        Edit("drop-call", line_of("def forward"), "softmax"),
    ], NAMES)

    assert text == FILE.replace("LR = 0.5", "LR = 0.02").replace("model.head.p", "model.p").replace(
        "torch.softmax(self.head(h), dim=1)", "self.head(h)")


@pytest.mark.parametrize(("text", "edit", "reason"), [
    ("import x\nloader = DataLoader(d, sampler=s)\n",
     Edit("set-keyword", Place("m.py", 2), "shuffle", "True"), "not one call|sampler"),
    ("import torch\nopt = SGD(p, **settings)\n",
     Edit("set-keyword", Place("m.py", 2), "lr", "1"), "elsewhere"),
    ("import torch\nopt = SGD(filter(f, model.parameters()))\n",
     Edit("first-argument", Place("m.py", 2, 7)), "parameters of one module"),
    ("from torch.nn import BCELoss\nloss = BCELoss()\n",
     Edit("rename-call", Place("m.py", 2), "BCELoss", "BCEWithLogitsLoss"), "imported alone"),
    ("import torch\nx = make()\n",
     Edit("replace-call", Place("m.py", 2), "relu", "Identity()"), "activation itself"),
    ("import torch\n", Edit("after-construction", code="nn.init.zeros_(model.a)"), "not clear"),
    ("def f(:\n", Edit("first-argument", Place("m.py", 1)), "does not parse"),
    ("import torch\n", Edit("set-keyword", None, "lr", "1"), "not known"),
])
def test_what_is_not_sure_is_refused(text: str, edit: Edit, reason: str) -> None:
    with pytest.raises(Unsure, match=reason):
        patched(text, [edit], NAMES)


def test_two_returns_are_refused() -> None:
    text = FILE.replace("    # one model\n", "    if LR:\n        return None\n")

    with pytest.raises(Unsure, match="returns in 2 places"):
        patched(text, [Edit("after-construction", code="nn.init.zeros_(model.a)")], NAMES)


def test_lines_go_behind_the_users_own_initialisation() -> None:
    text = ("import torch\nfrom torch import nn\n\nmodel = Net()\n"
            "for p in model.parameters():\n    nn.init.constant_(p, 1.0)\n\n"
            "optimizer = torch.optim.SGD(model.parameters(), lr=1.0)\n")
    code = "nn.init.zeros_(model.bias)"

    changed = patched(text, [Edit("after-construction", code=code)], Names({"model": "model"}, ""))

    assert changed == text.replace("(p, 1.0)\n", f"(p, 1.0)\n{code}\n")


def test_windows_line_ends_stay() -> None:
    text = FILE.replace("\n", "\r\n")
    edit = Edit("after-construction", code="nn.init.zeros_(model.head[0].bias)")

    changed = patched(text, [edit], NAMES)

    assert "\n" not in changed.replace("\r\n", "")


@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")
@pytest.mark.parametrize("text", [FILE, FILE.rstrip("\n")])
def test_the_diff_applies_with_patch(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.py"
    path.write_text(text, encoding="utf-8")
    changed = patched(text, [
        Edit("rename-call", place("nn.BCELoss()"), "BCELoss", "BCEWithLogitsLoss"),
        Edit("set-keyword", place(OPTIMIZER), "lr", "0.02", 1)], NAMES)

    subprocess.run(["patch", "-p0"], input=diff(Path("model.py"), text, changed), text=True,
                   cwd=tmp_path, check=True, capture_output=True)

    assert path.read_text(encoding="utf-8") == changed
