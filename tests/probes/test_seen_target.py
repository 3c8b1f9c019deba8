"""Targets under names, and in places, that say nothing: the loss tells which they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from builders import observe, target
from tables import CLASSES, mlp, number, table
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.utils.data import DataLoader

from auditor.observation import Observation
from auditor.target import Target, WithTrainingStep

Step = Callable[[nn.Module, Any], Tensor]


def of_rows(rows: Any, step: Step, outputs: int = CLASSES) -> Target:
    """Return a target over rows that its loader collates, in the order in which they stand."""
    return target(
        lambda: mlp(outputs), *table(), compute=WithTrainingStep(step),
        make_train_loader=lambda: DataLoader(rows, batch_size=32))


def grading(model: nn.Module, batch: Any) -> Tensor:
    return F.cross_entropy(model(batch["features"]), batch["grade"])


def grades(x: Tensor, y: Tensor) -> list[Any]:
    return [{"features": row, "grade": int(label)} for row, label in zip(x, y, strict=True)]


def in_order(found: Observation) -> bool:
    return number(found, "order_p") < 1e-3 and number(found, "order_explained") > 0.5


@pytest.mark.parametrize("is_sorted", [True, False])
def test_classes_under_an_own_name_are_told_to_be_sorted(is_sorted: bool) -> None:
    x, y = table()
    if is_sorted:
        x, y = x[y.argsort()], y.sort().values

    found = observe("data", of_rows(grades(x, y), grading))

    assert in_order(found) == is_sorted
    assert number(found, "class_count") == CLASSES


def test_numbers_under_an_own_name_are_told_to_be_sorted() -> None:
    x, _ = table()
    x = x[x[:, 0].argsort()]
    rows = [{"features": row, "price": float(row[0])} for row in x]

    found = observe("data", of_rows(rows, lambda model, batch: F.mse_loss(
        model(batch["features"]).squeeze(1), batch["price"].float()), outputs=1))

    assert in_order(found)


def test_a_number_of_the_sample_behind_the_label_is_no_label() -> None:
    x, y = table()
    # As a loader that draws from one shelf after the other gives them.
    shelves = torch.arange(len(y)) // 200
    rows = list(zip(x, y, shelves, strict=True))

    found = observe("data", of_rows(
        rows, lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])))

    assert not in_order(found)
    assert number(found, "rarest_class_share") == pytest.approx(
        float(torch.bincount(y).min()) / len(y))


def test_copies_with_another_label_contradict_each_other() -> None:
    x, y = table()
    # Not at the end, where they would be a second epoch.
    x = torch.cat([x[:60], x])
    y = torch.cat([(y[:60] + 1) % CLASSES, y])

    found = observe("data", of_rows(grades(x, y), grading))

    assert number(found, "duplicate_share") == pytest.approx(60 / 660)
    assert number(found, "conflict_share") == pytest.approx(120 / 660)


def test_labels_without_a_rule_under_an_own_name_are_found() -> None:
    x, y = table()
    drawn = torch.randint(0, CLASSES, y.shape, generator=torch.Generator().manual_seed(5))

    told, drawn_ones = (observe("information", of_rows(grades(x, labels), grading))
                        for labels in (y, drawn))

    assert number(told, "dependence_p") <= 0.001
    assert number(drawn_ones, "dependence_p") > 0.01


def test_an_autoencoder_keeps_its_input() -> None:
    x, y = table()
    x, y = x[y.argsort()], y.sort().values
    rows = list(zip(x, y, strict=True))

    found = observe("data", of_rows(
        rows, lambda model, batch: F.mse_loss(model(batch[0]), batch[0]), outputs=6))

    # The label that the loss does not look at stays what stands where targets stand.
    assert number(found, "duplicate_share") == 0


def test_what_the_loss_compares_with_is_not_standardised() -> None:
    x, _ = table()
    prices = 1e4 + 3e3 * x[:, :2]
    rows = [{"features": 1e3 * row, "prices": price} for row, price in zip(x, prices, strict=True)]
    audited = of_rows(rows, lambda model, batch: F.mse_loss(
        model(batch["features"]), batch["prices"]), outputs=2)
    data = observe("data", audited)
    seen: list[Tensor] = []

    def watched(model: nn.Module, batch: Any) -> Tensor:
        seen.append(batch["prices"])
        return F.mse_loss(model(batch["features"]), batch["prices"])

    observe("standardised", of_rows(rows, watched, outputs=2), earlier=[data])

    assert seen and all(float(one.mean()) > 5e3 for one in seen)


def test_validation_batches_may_hold_other_things() -> None:
    x, y = table()
    rows = [{"id": i, **row} for i, row in enumerate(grades(x, y))]
    # The same labels, and a field of their own behind them.
    held = [{**row, "site": 0} for row in grades(x, y)]
    audited = target(
        mlp, x, y, compute=WithTrainingStep(grading),
        make_train_loader=lambda: DataLoader(rows, batch_size=32),  # type: ignore[arg-type]
        make_val_loader=lambda: DataLoader(held, batch_size=32))  # type: ignore[arg-type]

    assert number(observe("data", audited), "label_distance") == 0


def test_a_sparse_field_beside_the_label_is_passed_over() -> None:
    x, y = table()

    def collated(rows: list[Any]) -> dict[str, Tensor]:
        batch = torch.utils.data.default_collate(rows)
        return {"edges": torch.ones(len(rows)).to_sparse(), **batch}

    audited = target(
        mlp, x, y, compute=WithTrainingStep(grading), make_train_loader=lambda: DataLoader(
            grades(x, y), batch_size=32, collate_fn=collated))  # type: ignore[arg-type]

    assert number(observe("data", audited), "class_count") == CLASSES
