"""Four small models with activations as modules and as functions, and a step of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.utils.data import DataLoader, TensorDataset

from auditor.target import Target, WithLossFunction


class Activation(nn.Module):
    """One activation, as a call of `forward` or as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor], module: type[nn.Module] | None):
        super().__init__()
        self.function = function
        self.inner = module() if module is not None else None

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x) if self.inner is None else self.inner(x)  # type: ignore[no-any-return]


def relu(functional: bool) -> Activation:
    return Activation(F.relu, None if functional else nn.ReLU)


def mlp(functional: bool) -> nn.Module:
    """784-512-512-10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), relu(functional), nn.Linear(512, 512),
                         relu(functional), nn.Linear(512, 10))


def lenet(functional: bool) -> nn.Module:
    """Two convolutions and three linear layers."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), relu(functional), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5), relu(functional), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(800, 120), relu(functional), nn.Linear(120, 84), relu(functional),
        nn.Linear(84, 10))


class Block(nn.Module):
    """A residual block of two 3x3 convolutions."""

    def __init__(self, before: int, after: int, stride: int, functional: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after),
            relu(functional), nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        self.short = nn.Sequential()
        if stride != 1 or before != after:
            self.short = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False),
                                       nn.BatchNorm2d(after))
        self.last = relu(functional)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x) + self.short(x))  # type: ignore[no-any-return]


def resnet(functional: bool) -> nn.Module:
    """ResNet-18 as for 32x32 images."""
    widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1),
              (256, 512, 2), (512, 512, 1)]
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), relu(functional),
        *(Block(*width, functional) for width in widths), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(512, 10))


class Attention(nn.Module):
    """Causal self-attention and a feed-forward layer, each behind a normalisation."""

    def __init__(self, width: int, functional: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.gelu = Activation(F.gelu, None if functional else nn.GELU)

    def forward(self, x: Tensor) -> Tensor:
        size, length, width = x.shape
        qkv = self.qkv(self.norms[0](x)).view(size, length, 3, 4, width // 4)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(mixed.transpose(1, 2).reshape(size, length, width))
        return x + self.down(self.gelu(self.up(self.norms[1](x))))  # type: ignore[no-any-return]


class GPT(nn.Module):
    """Four layers of width 128 over 65 characters."""

    def __init__(self, functional: bool) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(65, 128), nn.Embedding(64, 128)
        self.blocks = nn.Sequential(*(Attention(128, functional) for _ in range(4)))
        self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, 65, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.blocks(self.token(tokens) + self.place(places))
        return self.head(self.norm(x)).flatten(0, 1)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Setting:
    """A model, its batch size, the shape of its inputs (empty: 64 tokens), and its sizes."""

    make: Callable[[bool], nn.Module]
    batch: int
    shape: tuple[int, ...] = ()

    def batches(self, count: int, device: str) -> list[tuple[Tensor, Tensor]]:
        """Return seeded batches whose labels can be learned."""
        generator = torch.Generator().manual_seed(1)
        found = []
        for _ in range(count):
            if self.shape:
                x = torch.randn(self.batch, *self.shape, generator=generator)
                y = x.flatten(1)[:, :10].argmax(1)
            else:
                x = torch.randint(65, (self.batch, 64), generator=generator)
                y = (x + 1).flatten() % 65
            found.append((x.to(device), y.to(device)))
        return found

    def data(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the samples of so many batches, and the labels of each."""
        stored = self.batches(count, "cpu")
        labels = [y.reshape(len(x), -1).squeeze(1) for x, y in stored]
        return torch.cat([x for x, _ in stored]), torch.cat(labels)


SETTINGS = {
    "mlp": Setting(mlp, 128, (784,)),
    "lenet": Setting(lenet, 64, (1, 28, 28)),
    "resnet": Setting(resnet, 32, (3, 32, 32)),
    "gpt": Setting(GPT, 16),
}


class Training:
    """A model in training; `step` is what everything is measured against."""

    def __init__(self, name: str, *, functional: bool, device: str = "cpu") -> None:
        setting = SETTINGS[name]
        torch.manual_seed(0)
        self.model = setting.make(functional).to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)
        self.x, self.y = setting.batches(1, device)[0]

    def loss(self) -> Tensor:
        """Run the forward pass."""
        return F.cross_entropy(self.model(self.x), self.y)

    def step(self) -> None:
        """Take a plain step."""
        self.optimizer.zero_grad()
        self.loss().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


def cross_entropy(output: Tensor, y: Tensor) -> Tensor:
    """Return the loss, at every place of a sequence."""
    return F.cross_entropy(output, y.flatten())


def target(name: str, *, batches: int = 64, device: str = "cpu", **changes: Any) -> Target:
    """Return the setting as a target of an audit."""
    setting = SETTINGS[name]
    data = TensorDataset(*setting.data(batches))

    return Target(
        name=name, file="", kind="loss", make_model=lambda: setting.make(True),
        make_train_loader=lambda: DataLoader(data, batch_size=setting.batch, shuffle=True),
        make_optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1e-3),
        compute=WithLossFunction(cross_entropy), device=torch.device(device), **changes,
    )
