"""Whether samples come in an order that goes with their target."""

from __future__ import annotations

import pytest
import torch
from builders import observe, part_of_probes, target
from tables import CLASSES, looked_at, mlp, number, table
from torch import nn


def test_sorted_data_may_begin_with_thousands_of_one_class() -> None:
    x, y = table(samples=6000)
    y = torch.where(torch.arange(6000) % 2 == 0, 0, y)
    order = y.argsort()
    assert int((y == 0).sum()) > 3000
    ordered = looked_at(x[order], y[order], shuffle=False)
    told = observe("information", target(lambda: mlp(CLASSES), x[order], y[order], shuffle=False))

    assert number(ordered, "order_p") < 1e-3
    assert number(told, "dependence_p") <= 0.01


def test_sorted_labels_are_told_from_shuffled_ones() -> None:
    x, y = table()
    order = y.argsort()
    ordered = looked_at(x[order], y[order], shuffle=False)
    mixed = looked_at(x[order], y[order], shuffle=True)

    assert number(ordered, "order_p") < 1e-3
    assert number(ordered, "order_explained") > 0.8
    assert number(mixed, "order_explained") < 0.05


def test_sorted_numbers_are_told_from_shuffled_ones() -> None:
    x, _ = table()
    y = x[:, :1]
    order = y[:, 0].argsort()
    found = looked_at(x[order], y[order], nn.MSELoss(), make_model=lambda: mlp(1), shuffle=False)

    assert number(found, "order_explained") > 0.8


@pytest.mark.parametrize("shuffle", [False, True])
def test_windows_in_the_order_of_time_are_sorted_by_what_comes_next(shuffle: bool) -> None:
    g = torch.Generator().manual_seed(0)
    series = 0.1 * torch.randn(1020, 2, generator=g).cumsum(0)
    windows = series.unfold(0, 12, 1).transpose(1, 2)[:1000]
    x, y = windows[:, :8].flatten(1), windows[:, 8:]

    found = looked_at(x, y, nn.MSELoss(), shuffle=shuffle, make_model=lambda: nn.Sequential(
        nn.Linear(16, 8), nn.Unflatten(1, (4, 2))))

    assert (number(found, "order_explained") > 0.8) is not shuffle


@pytest.mark.parametrize("classes", [True, False])
def test_the_share_of_the_order_is_that_of_the_variance_between_batches(classes: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(5, (600,), generator=generator)
    drawn[:200] = drawn[:200].sort().values
    target_, sizes = (drawn if classes else drawn * 0.3 + 7), [50] * 12

    found = part_of_probes("_order").order_test(target_, sizes, classes=classes, seed=0)

    values = nn.functional.one_hot(drawn).double() if classes else target_.double().unsqueeze(1)
    values = values - values.mean(0)
    between = values.view(12, 50, -1).mean(1).square().sum() * 50
    # What random orders give in the mean.
    chance = values.square().sum() * 11 / 599
    exact = (between - chance) / (values.square().sum() - chance)
    assert found.explained == pytest.approx(float(exact), abs=0.003)
    assert found.p == pytest.approx(1 / 2000)


@pytest.mark.parametrize("shuffle", [False, True])
def test_classes_that_are_written_as_rows_of_numbers_are_sorted_too(shuffle: bool) -> None:
    x, y = table()
    order = y.argsort()
    rows = nn.functional.one_hot(y[order], CLASSES).float()
    found = looked_at(x[order], rows, nn.MSELoss(), shuffle=shuffle)

    assert (number(found, "order_explained") > 0.5) is not shuffle
