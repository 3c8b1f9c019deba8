"""The recorder sees every call by name, keeps nothing and leaves nothing behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.nn.modules import module as hooks
from torch.utils.checkpoint import checkpoint

from auditor.errors import OwnFault
from auditor.functions import ACTIVATIONS
from auditor.functionwatcher import FunctionWatcher
from auditor.recorder import Call, tensors_in, watching
from auditor.usercode import user_code


class Names:
    """Keeps the names of what it is told."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.modules: list[str] = []

    def on_function(self, call: Call) -> None:
        self.functions.append(call.subject)

    def on_module(self, call: Call) -> None:
        self.modules.append(call.subject)


class Mixed(nn.Module):
    """Activations as module, function, method and in-place."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.fc(x))
        x = F.relu(x) + x.sigmoid()
        return torch.relu_(self.fc(x))


def _activations(names: Names) -> list[str]:
    return [name for name in names.functions if "relu" in name or "act" in name or "sigm" in name]


def test_every_spelling_of_an_activation_is_a_call_with_a_name_of_its_own() -> None:
    model, names = Mixed(), Names()

    with watching(model, names):
        model(torch.randn(2, 4))

    assert _activations(names) == ["act", ":relu", ":sigmoid", ":relu#2"]


def test_a_module_that_runs_twice_is_numbered() -> None:
    model, names = Mixed(), Names()

    with watching(model, names):
        model(torch.randn(2, 4))

    assert names.modules == ["fc", "act", "fc#2"]


def _global_hooks() -> int:
    return len(hooks._global_forward_hooks) + len(hooks._global_forward_pre_hooks)


def test_no_hook_is_left_after_a_pass() -> None:
    before = _global_hooks()

    with watching(Mixed(), Names()):
        assert _global_hooks() == before + 2

    assert _global_hooks() == before


def test_no_hook_is_left_after_an_exception() -> None:
    before, model = _global_hooks(), Mixed()

    with pytest.raises(RuntimeError), watching(model, Names()):
        model(torch.randn(2, 5))

    assert _global_hooks() == before


def test_the_path_is_right_again_after_a_module_has_raised() -> None:
    model, names = Mixed(), Names()

    with watching(model, names):
        with pytest.raises(RuntimeError):
            model(torch.randn(2, 5))
        model(torch.randn(2, 4))

    assert "fc" in names.modules and ":relu" in names.functions


def test_watching_does_not_change_the_output() -> None:
    model, x = Mixed(), torch.randn(3, 4)
    plain = model(x)

    with watching(model, Names()):
        watched = model(x)

    assert torch.equal(plain, watched)


def test_watching_does_not_draw_random_numbers() -> None:
    model, x = Mixed(), torch.randn(3, 4)
    state = torch.get_rng_state()

    with watching(model, Names(), everything=True):
        model(x)

    assert torch.equal(state, torch.get_rng_state())


def test_a_diverged_pass_is_watched_like_any_other() -> None:
    model, names = Mixed(), Names()

    with watching(model, names):
        model(torch.full((2, 4), float("nan")))

    assert len(_activations(names)) == 4


def test_modules_outside_the_model_are_named_after_their_class() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(4, 4)]

        def forward(self, x: Tensor) -> Tensor:
            return self.layers[0](x)  # type: ignore[no-any-return]

    names = Names()

    with watching(model := Hidden(), names):
        model(torch.randn(2, 4))

    assert names.modules[0] == "(Linear)"


def test_tensors_are_found_in_nested_outputs_in_order() -> None:
    a, b, c = torch.zeros(1), torch.ones(1), torch.full((1,), 2.0)

    found = list(tensors_in({"x": [a, (b, None)], "y": {"z": c}}))

    assert [float(t) for t in found] == [0.0, 1.0, 2.0]


class Helpers(nn.Module):
    """Activations in methods and functions that `forward` calls, in children, and checkpointed."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.act = Mixed(), nn.Sequential(nn.Linear(4, 4), nn.Tanh())

    def _gated(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x) * self.act(x)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        x = checkpoint(self.inner, x, use_reentrant=False)
        return F.relu(self._gated(x))


class Inside(Names):
    """Keeps the names of activations inside of modules."""

    listens_to = frozenset(ACTIVATIONS)

    def on_function(self, call: Call) -> None:
        if call.module is not None:
            super().on_function(call)


def test_names_are_the_same_without_hooks() -> None:
    model, hooked = Helpers(), Inside()
    found: list[str] = []
    watcher = FunctionWatcher(model, ACTIVATIONS, lambda name, *_: found.append(name))
    before, x = _global_hooks(), torch.randn(2, 4)

    with watching(model, hooked):
        torch.sigmoid(model(x))
    with watcher:
        assert _global_hooks() == before
        torch.sigmoid(model(x))

    assert found == hooked.functions and len(found) == 7


@pytest.mark.parametrize("kind", ["on_function", "on_module"])
def test_a_fault_of_a_listener_is_not_the_users(kind: str) -> None:
    class Faulty(Names):
        pass

    def fail(self: Names, call: Call) -> None:
        raise ValueError("wrong")

    setattr(Faulty, kind, fail)
    model = Mixed()
    with pytest.raises(OwnFault, match=r"fault of the auditor.*ValueError: wrong") as caught, \
            user_code("running forward"), watching(model, Faulty()):
        model(torch.randn(2, 4))

    assert caught.value.exit_code == 4
