"""Models of every kind are audited to the end, and a healthy one is not accused.

`python -m pytest tests/robustness/test_kinds.py --all-members` takes every kind through a whole
standard audit; without the option only the looks at the model are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pytest
import torch
from builders import target
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from auditor.api import audit
from auditor.errors import AuditorError
from auditor.target import LossResult, Target

SAMPLES, WIDTH = 192, 12


def data(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return two blobs that a small network can tell apart, with some noise."""
    generator = torch.Generator().manual_seed(3)
    y = torch.randint(2, (SAMPLES,), generator=generator)
    x = torch.randn(SAMPLES, WIDTH, generator=generator, dtype=torch.float64)
    x[:, :3] += 1.2 * (2 * y[:, None] - 1)
    return x.to(dtype), y


def classifier(make_model: Callable[[], nn.Module], **changes: Any) -> Target:
    """Return a target that trains the model on the blobs; the optimizer is Adam(3e-3)."""
    x, y = changes.pop("data", None) or data()
    settings = {"lr": 3e-3, "batch_size": 16, "val": None, **changes}
    return target(make_model, x, y, **settings)


def mlp(*middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), *middle, nn.Linear(32, 2))


class Ends(nn.Module):
    """The classifier with its output in another form."""

    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.body = mlp()
        self.form = form

    def forward(self, x: Tensor) -> Any:
        return self.form(self.body(x))


class Out(NamedTuple):
    logits: Tensor
    extra: Tensor


@dataclass
class Result:
    logits: Tensor
    parts: dict[str, list[Tensor]]


def with_step(make_model: Callable[[], nn.Module], logits: Callable[[Any], Tensor]) -> Target:
    """Return a target whose step picks the logits out of the output."""
    def compute(model: nn.Module, batch: Any) -> LossResult:
        output = model(batch[0])
        return LossResult(cross_entropy(logits(output), batch[1]), output)

    return classifier(make_model, compute=compute)


def smooth(model: nn.Module, batch: Any) -> LossResult:
    """Return a loss with a penalty on the output's slope, as critics and physics have it."""
    x, y = batch
    x = x.clone().requires_grad_()
    logits = model(x)
    slopes, = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return LossResult(cross_entropy(logits, y) + 1e-3 * slopes.square().sum(1).mean(), logits)


class Repeated(nn.Module):
    """One weight used many times: by calls of one block, or by blocks of different names."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(WIDTH, 16), nn.Linear(16, 2)
        self.blocks = nn.ModuleList(nn.Linear(16, 16) for _ in range(blocks))
        for block in self.blocks:
            block.weight = self.blocks[0].weight

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for step in range(6):
            x = x + 0.1 * torch.relu(self.blocks[step % len(self.blocks)](x))
        return self.last(x)  # type: ignore[no-any-return]


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, 16, dtype=torch.complex64)
        self.last = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner(x.to(torch.complex64)).abs())  # type: ignore[no-any-return]


class Words(nn.Module):
    def __init__(self, sparse: bool) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(50, 16, sparse=sparse)
        self.last = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.table(x))  # type: ignore[no-any-return]


def words() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    y = torch.randint(2, (SAMPLES,), generator=generator)
    x = torch.randint(25, (SAMPLES, 8), generator=generator)
    flip = torch.rand(SAMPLES, 8, generator=generator) < 0.3
    return torch.where(flip, x, x + 25 * y[:, None]), y


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 2 * grad


class OwnFunction(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        doubled: Tensor = Double.apply(x)  # type: ignore[no-untyped-call]
        return doubled / 2


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(WIDTH, 32), nn.Linear(32, 2)
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        x = self.first(x)
        x.add_(0.0).relu_()
        return self.last(x)  # type: ignore[no-any-return]


class WithInference(nn.Module):
    """Takes a tensor that was made in inference mode, as cached features are."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        with torch.inference_mode():
            self.shift = torch.zeros(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x + self.shift)  # type: ignore[no-any-return]


class Computed(nn.Module):
    """Its weight is computed from another one, and kept as an attribute: no leaf."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.scale = nn.Parameter(torch.zeros(WIDTH))
        self.weight = self.scale.exp()

    def forward(self, x: Tensor) -> Tensor:
        self.weight = self.scale.exp()
        return self.body(x * self.weight)  # type: ignore[no-any-return]


class Mapped(nn.Module):
    """Written for one sample, and mapped over the batch, with the slope of a part beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH, 32) / WIDTH**0.5)
        self.norm, self.dropout, self.last = nn.LayerNorm(32), nn.Dropout(0.0), nn.Linear(32, 2)

    def of_one(self, x: Tensor) -> Tensor:
        hidden = self.dropout(torch.tanh(torch.relu(x @ self.weight)))
        return self.last(self.norm(hidden))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        slopes = torch.vmap(torch.func.jacrev(lambda one: torch.tanh(one).sum()))(x)
        return torch.vmap(self.of_one, randomness="different")(x + 0 * slopes)


def hooked() -> nn.Module:
    model = mlp()
    first = model[0]
    assert isinstance(first, nn.Linear)
    first.register_forward_hook(lambda module, args, output: output * 1.0)
    model[2].register_forward_pre_hook(lambda module, args: (args[0] * 1.0,))
    model.register_full_backward_hook(lambda module, grads, outer: None)
    first.weight.register_hook(lambda grad: grad * 1.0)  # type: ignore[no-untyped-call]
    return model


def lazy() -> nn.Module:
    model = nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.LazyLinear(2))
    with torch.no_grad():
        model(torch.zeros(2, WIDTH))
    return model


def half_frozen() -> nn.Module:
    model = mlp(nn.Linear(32, 32), nn.ReLU())
    model[0].requires_grad_(False)
    return model


def wide(modules: int) -> nn.Module:
    """Return a healthy model with very many modules beside its way from input to output."""
    model = mlp()
    model[1] = nn.Sequential(nn.ReLU(), *(nn.Identity() for _ in range(modules)))
    return model


class Deep(nn.Module):
    """Residual blocks one inside the other: `layers` modules deep."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(WIDTH, 16), nn.Linear(16, 2)
        self.blocks = nn.ModuleList(nn.Linear(16, 16) for _ in range(layers))
        self.factor = 1 / layers

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for block in self.blocks:
            x = x + self.factor * torch.relu(block(x))
        return self.last(x)  # type: ignore[no-any-return]


class Quantised(nn.Module):
    """Fake-quantised weights with a straight-through gradient, and integer buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.register_buffer("kept", torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.fake_quantize_per_tensor_affine(x, 0.05, 0, -128, 127)
        return self.body(x)  # type: ignore[no-any-return]


def compiled() -> nn.Module:
    return torch.compile(mlp())  # type: ignore[return-value]


def scripted() -> nn.Module:
    return torch.jit.script(mlp())


def as_is(output: Any) -> Any:
    return output


KINDS: dict[str, Callable[[], Target]] = {
    "plain": lambda: classifier(mlp),
    "10,000 modules": lambda: classifier(lambda: wide(10_000)),
    "1,000 layers deep": lambda: classifier(lambda: Deep(1000), lr=1e-3),
    "one layer called often": lambda: classifier(lambda: Repeated(1)),
    "one weight in many layers": lambda: classifier(lambda: Repeated(6)),
    "complex weights": lambda: classifier(Complex),
    "float64": lambda: classifier(lambda: mlp().double(), data=data(torch.float64)),
    "bfloat16": lambda: classifier(lambda: mlp().bfloat16(), data=data(torch.bfloat16)),
    "sparse gradients": lambda: classifier(
        lambda: Words(True), data=words(), optimizer=torch.optim.SGD, lr=0.5),
    "integer inputs": lambda: classifier(lambda: Words(False), data=words(), lr=1e-2),
    "quantised": lambda: classifier(Quantised),
    "lazy layers": lambda: classifier(lazy),
    "compiled": lambda: classifier(compiled),
    "scripted": lambda: classifier(scripted),
    "own autograd function": lambda: classifier(lambda: mlp(OwnFunction())),
    "mapped over the batch": lambda: classifier(Mapped),
    "own hooks": lambda: classifier(hooked),
    "frozen layers": lambda: classifier(half_frozen),
    "computed weights": lambda: classifier(Computed),
    "in-place operations": lambda: classifier(InPlace),
    "inference tensors": lambda: classifier(WithInference),
    "gradients inside the step": lambda: replace(
        classifier(lambda: mlp(nn.Linear(32, 32), nn.SiLU())), kind="step", compute=smooth),
    "output: named tuple": lambda: with_step(
        lambda: Ends(lambda z: Out(z, z.detach())), lambda out: out.logits),
    "output: dataclass": lambda: with_step(
        lambda: Ends(lambda z: Result(z, {"all": [z]})), lambda out: out.logits),
    "output: dict": lambda: with_step(
        lambda: Ends(lambda z: {"logits": z, "n": 3}), lambda out: out["logits"]),
    "output: nested": lambda: with_step(
        lambda: Ends(lambda z: [{"a": (z, None)}, "text"]), lambda out: out[0]["a"][0]),
}
# What cannot be trained is refused in words.
HOPELESS: dict[str, Callable[[], Target]] = {
    "no parameters": lambda: classifier(
        nn.Identity, optimizer=lambda parameters, lr: torch.optim.SGD(
            [nn.Parameter(torch.zeros(1))], lr=lr)),
    "meta tensors": lambda: classifier(lambda: mlp().to("meta")),
}
# They take a second or more each and hide nothing that a small one does not show.
SLOW = {"10,000 modules", "1,000 layers deep"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_healthy_model_of_any_kind_is_looked_at(
    kind: str, request: pytest.FixtureRequest,
) -> None:
    whole = request.config.getoption("--all-members")
    if kind in SLOW and not whole:
        pytest.skip("takes long; --all-members audits it")

    report = audit(KINDS[kind](), profile="standard" if whole else "quick", budget_seconds=300)

    assert [f"{f.rule}: {f.message}" for f in report.at_least("warning")] == []
    assert [(seen.probe, seen.reason) for seen in report.observations
            if seen.status == "failed"] == []


@pytest.mark.parametrize("kind", HOPELESS)
def test_a_model_that_cannot_be_trained_is_refused_or_found(kind: str) -> None:
    try:
        report = audit(HOPELESS[kind](), profile="quick", budget_seconds=300)
    except AuditorError as problem:
        assert problem.message
        return
    assert report.at_least("error") or report.verdict == "incomplete"
