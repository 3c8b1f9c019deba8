"""Tables of embeddings that start alike: the symmetry that the probe `initialization` sees."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from builders import observe, target
from torch import Tensor, nn


class Factors(nn.Module):
    """A factorisation of a matrix with one bias per row."""

    def __init__(self, zero: tuple[str, ...]) -> None:
        super().__init__()
        self.row, self.column = nn.Embedding(8, 4), nn.Embedding(8, 4)
        self.bias = nn.Embedding(8, 2)
        for name in zero:
            nn.init.zeros_(self.get_submodule(name).weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        match = (self.row(x[:, 0]) * self.column(x[:, 1])).sum(dim=1, keepdim=True)
        return match + self.bias(x[:, 0])  # type: ignore[no-any-return]


@pytest.mark.parametrize(("zero", "stuck"), [
    (("row", "column", "bias"), {"row", "column"}), (("row", "bias"), set()), ((), set()),
])
def test_embeddings_that_get_no_gradient_from_each_other_never_part(
    zero: tuple[str, ...], stuck: set[str],
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 8, (256, 2), generator=generator)
    seen = observe("initialization", target(lambda: Factors(zero), x, (x[:, 0] + x[:, 1]) % 2))

    assert {m.subject: m.value for m in seen.measurements
            if m.name in ("unit_spread", "unit_separation")} == dict.fromkeys(stuck, 0.0)


@pytest.mark.parametrize("table", [
    lambda: nn.Embedding(20, 2), lambda: nn.Embedding(20, 2, padding_idx=0),
])
def test_an_embedding_of_zeros_that_moves_in_lockstep_is_not_judged(
    table: Callable[[], nn.Embedding],
) -> None:
    def make() -> nn.Module:
        bias = table()
        nn.init.zeros_(bias.weight)
        return bias

    x = torch.randint(0, 20, (256,), generator=torch.Generator().manual_seed(0))
    seen = observe("initialization", target(
        make, x, torch.full((256, 2), 3.5), loss_fn=nn.MSELoss()))

    assert not [m for m in seen.measurements if m.name == "unit_separation"]
