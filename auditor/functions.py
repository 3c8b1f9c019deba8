"""Which torch functions are activations, losses, cuts of the graph or sources of randomness.

Module hooks see only modules. The recorder watches every torch function call instead, and these
tables say what a call means, however the user spells it (`F.relu`, `x.relu_()`, `nn.ReLU()`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

Function: TypeAlias = Callable[..., Any]
Family: TypeAlias = Literal["rectifier", "bounded", "smooth", "softmax"]


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation function.

    Attributes:
        name: As users call it.
        family: "rectifier" is exactly zero on a half-line; "bounded" is flat on both sides;
            "smooth" is neither; "softmax" normalises over a dimension.
        low: Smallest value that it can put out.
        high: Largest value that it can put out.
        gain: Of the He / Glorot initialisation before it (`nn.init.calculate_gain`).
        peak_slope: Largest derivative, for bounded ones.
    """

    name: str
    family: Family
    low: float = float("-inf")
    high: float = float("inf")
    gain: float = 1.0
    peak_slope: float = 1.0

    @property
    def saturates(self) -> bool:
        """Whether it is flat towards both ends of its range; a softmax is p (1 - p) steep."""
        return self.family == "bounded" or self.name == "softmax"


_RELU_GAIN = 2.0**0.5
RELU = Activation("relu", "rectifier", low=0.0, gain=_RELU_GAIN)
RELU6 = Activation("relu6", "rectifier", low=0.0, high=6.0, gain=_RELU_GAIN)
LEAKY_RELU = Activation("leaky_relu", "smooth", gain=_RELU_GAIN)
SIGMOID = Activation("sigmoid", "bounded", low=0.0, high=1.0, peak_slope=0.25)
HARDSIGMOID = Activation("hardsigmoid", "bounded", low=0.0, high=1.0, peak_slope=1 / 6)
TANH = Activation("tanh", "bounded", low=-1.0, high=1.0, gain=5 / 3)
HARDTANH = Activation("hardtanh", "bounded", low=-1.0, high=1.0, gain=5 / 3)
SOFTSIGN = Activation("softsign", "bounded", low=-1.0, high=1.0)
SOFTMAX = Activation("softmax", "softmax", low=0.0, high=1.0)
LOG_SOFTMAX = Activation("log_softmax", "softmax", high=0.0)
LOGSIGMOID = Activation("logsigmoid", "smooth", high=0.0)
SOFTPLUS = Activation("softplus", "smooth", low=0.0, gain=_RELU_GAIN)
GELU = Activation("gelu", "smooth", low=-0.17, gain=_RELU_GAIN)
SILU = Activation("silu", "smooth", low=-0.28, gain=_RELU_GAIN)
MISH = Activation("mish", "smooth", low=-0.31, gain=_RELU_GAIN)
HARDSWISH = Activation("hardswish", "smooth", low=-0.375, gain=_RELU_GAIN)
ELU = Activation("elu", "smooth", low=-1.0, gain=_RELU_GAIN)
SELU = Activation("selu", "smooth", low=-1.76, gain=0.75)
CELU = Activation("celu", "smooth", low=-1.0, gain=_RELU_GAIN)
GLU = Activation("glu", "smooth")


def _spellings(name: str) -> list[Function]:
    """Return every public spelling of one function: torch.x, torch.x_, Tensor.x, F.x, ..."""
    found = []
    for home in (torch, Tensor, F, torch._C._nn, torch.special):
        for spelling in (name, f"{name}_"):
            function = getattr(home, spelling, None)
            if callable(function):
                found.append(function)
    return found


ACTIVATIONS: dict[Function, Activation] = {
    function: activation
    for name, activation in {
        "relu": RELU, "relu6": RELU6, "leaky_relu": LEAKY_RELU, "rrelu": LEAKY_RELU,
        "prelu": LEAKY_RELU, "sigmoid": SIGMOID, "expit": SIGMOID, "hardsigmoid": HARDSIGMOID,
        "tanh": TANH, "hardtanh": HARDTANH, "softsign": SOFTSIGN, "softmax": SOFTMAX,
        "log_softmax": LOG_SOFTMAX, "logsigmoid": LOGSIGMOID, "softplus": SOFTPLUS, "gelu": GELU,
        "silu": SILU, "mish": MISH, "hardswish": HARDSWISH, "elu": ELU, "selu": SELU,
        "celu": CELU, "glu": GLU,
    }.items()
    for function in _spellings(name)
}

# What the last differentiable operation of an output is called in the autograd graph.
NODE_ACTIVATIONS: dict[str, Activation] = {
    "ReluBackward0": RELU, "HardtanhBackward0": HARDTANH, "SigmoidBackward0": SIGMOID,
    "TanhBackward0": TANH, "SoftmaxBackward0": SOFTMAX, "LogSoftmaxBackward0": LOG_SOFTMAX,
    "SoftplusBackward0": SOFTPLUS, "LeakyReluBackward0": LEAKY_RELU, "GeluBackward0": GELU,
    "SiluBackward0": SILU, "EluBackward0": ELU, "HardsigmoidBackward0": HARDSIGMOID,
    "HardswishBackward0": HARDSWISH, "MishBackward0": MISH, "LogSigmoidBackward0": LOGSIGMOID,
}

LOGSUMEXPS: frozenset[Function] = frozenset(_spellings("logsumexp"))

# What a loss that is written by hand consists of.
DIFFERENCES: frozenset[Function] = frozenset(
    (*_spellings("sub"), *_spellings("subtract"), Tensor.__sub__, Tensor.__rsub__))
POWERS: frozenset[Function] = frozenset((*_spellings("pow"), Tensor.__pow__))
SQUARES: frozenset[Function] = frozenset(_spellings("square"))
SIZES: frozenset[Function] = frozenset((*_spellings("abs"), *_spellings("absolute")))
MEANS: frozenset[Function] = frozenset(_spellings("mean"))
SUMS: frozenset[Function] = frozenset(_spellings("sum"))
PRODUCTS: frozenset[Function] = frozenset(
    (*_spellings("mul"), *_spellings("multiply"), Tensor.__mul__, Tensor.__rmul__))
QUOTIENTS: frozenset[Function] = frozenset(
    function for name in ("div", "divide", "true_divide") for function in _spellings(name)
) | {Tensor.__truediv__}

CLAMPS: frozenset[Function] = frozenset(
    function for name in ("clamp", "clamp_min", "clip", "maximum", "threshold")
    for function in _spellings(name)
)

# Losses that users reach through nn.XLoss or F.x: name -> argument names of input and target.
_LOSS_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "cross_entropy": ("input", "target"),
    "nll_loss": ("input", "target"),
    "binary_cross_entropy": ("input", "target"),
    "binary_cross_entropy_with_logits": ("input", "target"),
    "mse_loss": ("input", "target"),
    "l1_loss": ("input", "target"),
    "smooth_l1_loss": ("input", "target"),
    "huber_loss": ("input", "target"),
    "kl_div": ("input", "target"),
    "poisson_nll_loss": ("input", "target"),
    "gaussian_nll_loss": ("input", "target"),
    "multilabel_soft_margin_loss": ("input", "target"),
    "multi_margin_loss": ("input", "target"),
    "soft_margin_loss": ("input", "target"),
    "hinge_embedding_loss": ("input", "target"),
    "cosine_embedding_loss": ("input1", "input2", "target"),
    "margin_ranking_loss": ("input1", "input2", "target"),
    "triplet_margin_loss": ("anchor", "positive", "negative"),
    "triplet_margin_with_distance_loss": ("anchor", "positive", "negative"),
    "ctc_loss": ("log_probs", "targets"),
}
LOSSES: dict[Function, tuple[str, tuple[str, ...]]] = {
    getattr(F, name): (name, arguments) for name, arguments in _LOSS_ARGUMENTS.items()
}
METRIC_LOSSES = frozenset({
    "cosine_embedding_loss", "margin_ranking_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss", "hinge_embedding_loss",
})
ELEMENTWISE_LOSSES = frozenset({
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "kl_div", "poisson_nll_loss",
})
REGRESSION_LOSSES = frozenset({"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"})

CUTS: dict[Function, str] = {
    function: name
    for name in ("detach", "numpy", "argmax", "argmin", "item", "tolist", "round", "floor", "ceil",
                 "sign", "bernoulli", "multinomial")
    for function in _spellings(name)
} | {Tensor.data.__get__: ".data"}  # type: ignore[attr-defined]

DROPOUTS: frozenset[Function] = frozenset(
    getattr(F, name)
    for name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout",
                 "feature_alpha_dropout")
) | frozenset({torch.dropout, torch.dropout_})

SAMPLERS: dict[Function, str] = {
    function: name
    for name in ("randn", "randn_like", "rand", "rand_like", "normal", "randint", "randint_like",
                 "randperm", "bernoulli", "multinomial", "uniform", "exponential", "random",
                 "gumbel_softmax", "poisson")
    for function in _spellings(name)
}

# Operations that join two branches: the signal after them is not a product of the weights before.
JOINS: frozenset[Function] = frozenset(
    function
    for name in ("add", "__add__", "__radd__", "__iadd__", "sub", "__sub__", "__rsub__", "mul",
                 "__mul__", "__rmul__", "__imul__", "cat", "concat", "stack", "addcmul", "lerp",
                 "bmm", "matmul", "__matmul__", "einsum", "scaled_dot_product_attention",
                 "multi_head_attention_forward", "div", "__truediv__", "where", "maximum")
    for function in _spellings(name)
)

# Functions that multiply with a weight: how the weight's dimensions are laid out.
WEIGHTED: dict[Function, str] = {
    F.linear: "out-in", torch.addmm: "addmm", torch.matmul: "in-out", Tensor.matmul: "in-out",
    Tensor.__matmul__: "in-out", torch.mm: "in-out", Tensor.mm: "in-out",
    torch.conv1d: "out-in", torch.conv2d: "out-in", torch.conv3d: "out-in",
    torch.conv_transpose1d: "transposed", torch.conv_transpose2d: "transposed",
    torch.conv_transpose3d: "transposed", F.embedding: "lookup",
}

# Operations after which a linear map is still the same linear map.
RESHAPES: frozenset[Function] = frozenset(
    function
    for name in ("view", "reshape", "flatten", "transpose", "permute", "t", "squeeze", "unsqueeze",
                 "contiguous", "movedim", "swapaxes", "unflatten", "view_as", "reshape_as",
                 "to", "float", "clone")
    for function in _spellings(name)
)
