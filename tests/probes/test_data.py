"""The data probe on small tensors whose faults are known."""
from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from builders import part_of_probes
from tables import CLASSES, FEATURES, looked_at, mlp, number, table
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler


def test_a_nan_that_reaches_the_loss_is_counted_and_placed() -> None:
    x, y = table()
    x[17, 3] = math.nan
    found = looked_at(x, y, shuffle=False)

    assert number(found, "nonfinite_values") == 1
    assert found.value("nonfinite_harms") is True
    assert found.value("nonfinite_where") == "column 3 of the input, first in sample 17"


def test_nan_targets_that_the_loss_masks_do_no_harm() -> None:
    x, _ = table()
    y = x[:, :1].clone()
    y[::7] = math.nan

    def masked(output: Tensor, wanted: Tensor) -> Tensor:
        known = torch.isfinite(wanted)
        return F.mse_loss(output[known], wanted[known])

    found = looked_at(x, y, masked, make_model=lambda: mlp(1))

    assert number(found, "nonfinite_values") > 0
    assert found.value("nonfinite_harms") is False


def test_the_scale_is_that_of_the_largest_column() -> None:
    x, y = table()
    found = looked_at(x * torch.tensor([1, 1, 500, 1, 1, 1.0]), y)

    assert number(found, "input_size") == pytest.approx(500, rel=0.3)
    assert str(found.value("input_feature")).startswith("column 2 of what 0 receives")


def test_a_heavy_tail_does_not_make_a_column_large() -> None:
    x, y = table()
    x[:12, 1] = 4000.0

    assert number(looked_at(x, y), "input_size") < 3


class Dividing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x.float() / 255 - 0.5)).mean(dim=(2, 3))


def test_what_the_model_normalises_itself_is_judged_after_that() -> None:
    pixels = torch.randint(0, 256, (200, 1, 8, 8), dtype=torch.uint8)
    found = looked_at(pixels, torch.arange(200) % 4, make_model=Dividing)

    assert number(found, "input_size") < 1


def test_bytes_that_the_model_only_casts_are_large() -> None:
    class Casting(Dividing):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.conv(x.float())).mean(dim=(2, 3))

    pixels = torch.randint(0, 256, (200, 1, 8, 8), dtype=torch.uint8)
    found = looked_at(pixels, torch.arange(200) % 4, make_model=Casting)

    assert number(found, "input_size") > 100


@pytest.mark.parametrize("first", [nn.BatchNorm1d(FEATURES), nn.LayerNorm(FEATURES)])
def test_inputs_that_a_layer_normalises_first_do_not_count(first: nn.Module) -> None:
    x, y = table()
    found = looked_at(x * 1000, y, make_model=lambda: nn.Sequential(first, mlp()))

    assert "input_size" in found.absent


def test_token_ids_have_no_scale() -> None:
    tokens = torch.randint(0, 5000, (200, 12))

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.EmbeddingBag(5000, 8)
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(self.embedding(x))
            return out

    assert "input_size" in looked_at(tokens, torch.arange(200) % CLASSES, make_model=Bag).absent


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU])
def test_a_recurrent_layer_is_seen_to_receive_the_input(layer: Any) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = layer(2, 8, batch_first=True)
            self.head = nn.Linear(8, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(self.rnn(x)[0][:, -1])
            return out

    x = 300 * torch.randn(200, 10, 2)

    assert number(looked_at(x, torch.arange(200) % CLASSES, make_model=Recurrent),
                  "input_size") > 200


def test_columns_that_never_vary_are_named() -> None:
    x, y = table()
    x[:, 4] = 2.5
    found = looked_at(x, y)

    assert number(found, "constant_columns") == 1
    assert found.value("constant_names") == "4"


def test_the_condition_number_is_that_of_the_correlation_matrix() -> None:
    x, y = table()
    x[:, 5] = 7 * x[:, 0] + 0.01 * x[:, 5]
    found = looked_at(x, y)
    slow = torch.linalg.cond(torch.corrcoef(x.double().T))

    assert number(found, "input_condition") == pytest.approx(float(slow), rel=1e-6)
    assert number(found, "input_components") == FEATURES - 1


@pytest.mark.parametrize(("change", "loss_fn", "share", "code"), [
    (lambda y: y + 1, nn.CrossEntropyLoss(), 0.3, "target - 1"),
    (lambda y: y - 1, nn.CrossEntropyLoss(), 0.3, "ignore_index=-1"),
    (lambda y: y.float(), nn.CrossEntropyLoss(), 1.0, ".long()"),
    (lambda y: F.one_hot(y), nn.CrossEntropyLoss(), 1.0, "argmax"),
    (lambda y: y.unsqueeze(1), nn.CrossEntropyLoss(), 1.0, "squeeze(1)"),
    (lambda y: F.one_hot(y), nn.BCEWithLogitsLoss(), 1.0, "float()"),
    (lambda y: 2.0 * F.one_hot(y) - 1, nn.BCEWithLogitsLoss(), 0.6, "> 0"),
    (lambda y: 255.0 * F.one_hot(y), nn.BCEWithLogitsLoss(), 0.3, "/ 255"),
])
def test_targets_that_do_not_fit_are_named_with_their_conversion(
    change: Any, loss_fn: Any, share: float, code: str,
) -> None:
    x, y = table()
    found = looked_at(x, change(y), loss_fn)

    assert number(found, "invalid_target_share") == pytest.approx(share, abs=0.15)
    assert code in str(found.value("invalid_target_code"))


@pytest.mark.parametrize(("change", "loss_fn"), [
    (lambda y: y, nn.CrossEntropyLoss()),
    (lambda y: F.one_hot(y).float(), nn.CrossEntropyLoss()),
    (lambda y: torch.where(y == 2, -100, y), nn.CrossEntropyLoss()),
    (lambda y: torch.where(y == 2, 255, y), nn.CrossEntropyLoss(ignore_index=255)),
    (lambda y: F.one_hot(y).float(), nn.BCEWithLogitsLoss()),
    (lambda y: 0.9 * F.one_hot(y) + 0.05, nn.BCEWithLogitsLoss()),
])
def test_targets_that_fit_are_not_called_wrong(change: Any, loss_fn: Any) -> None:
    x, y = table()

    assert number(looked_at(x, change(y), loss_fn), "invalid_target_share") == 0


def test_a_wrong_label_in_a_late_batch_is_seen() -> None:
    x, y = table()
    y[-1] = CLASSES

    assert number(looked_at(x, y, shuffle=False), "invalid_target_share") > 0


def test_one_class_in_fifty_is_rare_and_one_in_ten_is_not() -> None:
    g = torch.Generator().manual_seed(1)
    x = torch.randn(2000, FEATURES, generator=g)
    rare, usual = (
        looked_at(x, (torch.rand(2000, generator=g) < share).long(),
                  make_model=lambda: mlp(2))
        for share in (0.02, 0.09))

    assert number(rare, "rarest_class_evenness") < 0.1
    assert number(usual, "rarest_class_evenness") > 0.15


def test_several_rare_classes_tell_together_what_one_of_them_cannot() -> None:
    x = torch.randn(740, FEATURES, generator=torch.Generator().manual_seed(1))
    five = torch.cat([torch.arange(15) % 5, 5 + torch.arange(725) % 5])
    one = torch.cat([torch.zeros(3, dtype=torch.long), 1 + torch.arange(737) % 9])
    rare, alone = (number(looked_at(x, y, make_model=lambda: mlp(10)), "rarest_class_evenness")
                   for y in (five, one))

    assert rare < 0.1
    assert alone > 0.15


@pytest.mark.parametrize(("classes", "count"), [(200, 214), (1000, 3000)])
def test_of_many_even_classes_a_sample_lacks_some_and_none_is_rare(
    classes: int, count: int,
) -> None:
    g = torch.Generator().manual_seed(0)
    train, val = (torch.randint(0, classes, (count,), generator=g) for _ in range(2))

    rarity = part_of_probes("_labels").rarity(train, val)

    assert rarity.unseen and rarity.evenness > 1


@pytest.mark.parametrize(("outputs", "first", "loss_fn", "missing"), [
    (CLASSES + 1, 1, nn.CrossEntropyLoss(), True),
    (CLASSES + 1, 0, nn.CrossEntropyLoss(), False),
    (CLASSES + 2, 1, nn.CrossEntropyLoss(), False),
    (CLASSES + 1, 1, nn.CrossEntropyLoss(ignore_index=0), False),
])
def test_labels_that_start_at_one_leave_an_output_without_samples(
    outputs: int, first: int, loss_fn: nn.Module, missing: bool,
) -> None:
    x, y = table(samples=1000)
    found = looked_at(x, y + first, loss_fn, make_model=lambda: mlp(outputs))

    assert found.value("labels_start_at_one") is missing
    assert (number(found, "rarest_class_evenness") < 0.15) is missing


def test_where_the_features_lie_and_how_often_the_classes_come_is_told() -> None:
    x, y = table()
    found = looked_at(x * torch.tensor([1, 1, 500, 1, 1, 1.0]), y)

    rows: Any = found.tables["input_features"]
    assert [row["feature"] for row in rows] == [f"column {i}" for i in range(FEATURES)]
    assert rows[2]["max"] > 100 > rows[1]["max"]
    counts: Any = found.tables["label_counts"]
    assert sum(row["training"] for row in counts) == number(found, "data_samples")
    assert {row["class"] for row in counts} == set(range(CLASSES))


def test_class_weights_and_weighted_sampling_make_up_for_rare_classes() -> None:
    x, _ = table(samples=1000)
    y = (torch.arange(1000) % 50 == 0).long()
    weighed = looked_at(x, y, nn.CrossEntropyLoss(weight=torch.tensor([1.0, 49.0])),
                        make_model=lambda: mlp(2))
    sampler = WeightedRandomSampler((1 + 48 * y).tolist(), 1000)
    drawn = looked_at(x, y, make_model=lambda: mlp(2), make_train_loader=lambda: DataLoader(
        TensorDataset(x, y), batch_size=32, sampler=sampler))

    assert "rarest_class_evenness" in weighed.absent
    assert number(drawn, "rarest_class_evenness") > 0.8
    assert "duplicate_share" in drawn.absent


def test_validation_data_without_the_normalisation_are_seen() -> None:
    new_x, new_y = table(1, 200)
    found = looked_at(*table(), val=(40 * new_x + 100, new_y))

    assert number(found, "input_rescaling") > 20


@pytest.mark.parametrize("rescaled", [2, 3])
def test_some_columns_without_the_normalisation_are_seen_and_two_alone_are_not(
    rescaled: int,
) -> None:
    new_x, new_y = table(1, 200)
    new_x[:, :rescaled] = 40 * new_x[:, :rescaled] + 100
    found = looked_at(*table(), val=(new_x, new_y))

    assert (number(found, "some_input_rescaling") > 20) == (rescaled == 3)
    assert number(found, "input_rescaling") < 1.5


def test_a_loss_that_refuses_its_targets_does_not_stop_the_probe() -> None:
    x, y = table()
    found = looked_at(x, y + 5, val=table(1, 100))

    assert number(found, "invalid_target_share") == 1
    assert number(found, "input_size") > 0
