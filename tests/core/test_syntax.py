"""Names that a piece of Python binds, needs and changes."""

from __future__ import annotations

import ast

import pytest

from auditor.syntax import base_name, bound, changed, needed, part_for


def one(text: str) -> ast.stmt:
    (statement,) = ast.parse(text).body
    return statement


@pytest.mark.parametrize(("text", "names"), [
    ("a, (b, *c) = f()", {"a", "b", "c"}),
    ("import torch.nn as nn, os.path", {"nn", "os"}),
    ("from x import y as z", {"z"}),
    ("for i in range(3):\n    with open(p) as f:\n        t = 1", {"i", "f", "t"}),
    ("def g(x):\n    y = 1", {"g"}),
    ("class C:\n    y = 1", {"C"}),
    ("z = [q for q in w]", {"z"}),
    ("a.b = a[0] = 1", set()),
])
def test_bound(text: str, names: set[str]) -> None:
    assert bound([one(text)]) == names


@pytest.mark.parametrize(("text", "names"), [
    ("y = f(x) + len(z)", {"f", "x", "z"}),
    ("def g(a, b=c, *d):\n    e = a\n    return e + h", {"c", "h"}),
    ("z = [q * k for q in w]", {"k", "w"}),
    ("class C(B):\n    n = m\n    k = n\n    def f(self):\n        return o", {"B", "m", "o"}),
    ("h = lambda u, v=w: u + t", {"w", "t"}),
    ("@dec\ndef g(a: T) -> R:\n    return a", {"dec", "T", "R"}),
])
def test_needed(text: str, names: set[str]) -> None:
    assert needed(one(text)) == names


@pytest.mark.parametrize(("text", "names"), [
    ("model.fc = x", {"model"}),
    ("model.fc.weight.data[0] = x", {"model"}),
    ("model.apply(f)", {"model"}),
    ("init_weights(model)", {"model"}),
    ("print(model)", set()),
    ("model.train()", set()),
    ("for p in model.parameters():\n    p.requires_grad = False", {"model"}),
    ("for p in model.parameters():\n    print(p)", set()),
])
def test_changed(text: str, names: set[str]) -> None:
    assert changed(one(text)) == names


def test_base_name() -> None:
    call = one("model.layers[0](x).weight.data")
    assert isinstance(call, ast.Expr) and base_name(call.value) == "model"


def test_a_part_holds_what_its_names_depend_on_and_no_more() -> None:
    body = ast.parse("a = 1\nb = a + c\nprint(b)\nd = 2\nb.e = a\nos.remove(b)").body
    kept, left = part_for(body, ["b"], (), ["os"])

    assert [ast.unparse(item) for item in kept] == ["a = 1", "b = a + c", "b.e = a"]
    assert left == {"c"}


def test_names_that_are_not_followed_are_not_left_open() -> None:
    kept, left = part_for(ast.parse("a = m\nb = a").body, ["b"], ["m"])

    assert len(kept) == 2 and left == set()
