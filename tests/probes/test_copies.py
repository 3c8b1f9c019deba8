"""Copies among the samples, and validation samples that stand in the training data."""
from __future__ import annotations

from typing import Any

import pytest
import torch
from tables import CLASSES, FEATURES, N, looked_at, number, table
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.utils.data import DataLoader, TensorDataset

from auditor.target import LossResult


def test_copies_and_contradictions_are_counted() -> None:
    x, y = table()
    x, y = torch.cat([x, x[:200]]), torch.cat([y, (y[:200] + torch.tensor([0, 1] * 100)) % 3])
    found = looked_at(x, y)

    assert number(found, "duplicate_share") == pytest.approx(200 / 800)
    assert number(found, "conflict_share") == pytest.approx(200 / 800)


def test_samples_of_nothing_but_nan_are_no_copies() -> None:
    x, y = table()
    x[:60] = float("nan")
    found = looked_at(x, y, val=(x[:100], y[:100]))

    assert number(found, "duplicate_share") == 0
    assert number(found, "leaked_samples") == 40


@pytest.mark.parametrize(("digits", "judged"), [(8, True), (2, False)])
def test_copies_of_points_in_the_plane_are_told_from_coarse_ones(digits: int, judged: bool) -> None:
    x = torch.rand(N // 2, 2, generator=torch.Generator().manual_seed(0)).double()
    x = x.round(decimals=digits).float().repeat(2, 1)
    y = torch.arange(N) % CLASSES
    found = looked_at(x, y, make_model=lambda: nn.Linear(2, CLASSES))

    assert ("duplicate_share" not in found.absent) is judged


def test_an_endless_loader_is_no_set_of_copies() -> None:
    x, y = table(samples=320)

    def endless() -> Any:
        while True:
            for i in torch.randperm(320).view(10, 32):
                yield x[i], y[i]

    found = looked_at(x, y, make_train_loader=endless)

    assert number(found, "duplicate_share") == 0


@pytest.mark.parametrize("x", [
    torch.randint(0, 2, (N, FEATURES), generator=torch.Generator().manual_seed(0)).float(),
    (torch.arange(N) % 31)[:, None] + torch.arange(12) * (torch.arange(N) % 2 + 1)[:, None],
])
def test_coarse_values_that_repeat_by_chance_are_not_called_copies(x: Tensor) -> None:
    class Takes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(x.shape[1], CLASSES)

        def forward(self, value: Tensor) -> Tensor:
            out: Tensor = self.head(value.float() / 50)
            return out

    y = torch.arange(N) % CLASSES
    found = looked_at(x, y, make_model=Takes, val=(x[:100], y[:100]))

    assert "duplicate_share" in found.absent
    assert "leaked_share" in found.absent


@pytest.mark.parametrize(("copied", "repeats", "told"), [
    (200, 0, True), (60, 0, False), (200, 300, False),
])
def test_far_more_equal_samples_than_chance_makes_are_a_leak(
    copied: int, repeats: int, told: bool,
) -> None:
    drawn = torch.Generator().manual_seed(0)
    x = torch.randint(36, (N, FEATURES + 2), generator=drawn).float()
    x[N - repeats:] = x[:repeats]
    new = torch.randint(36, (200, FEATURES + 2), generator=drawn).float()
    new[:copied] = x[:copied]
    found = looked_at(x, torch.arange(N) % CLASSES, make_model=lambda: nn.Linear(8, CLASSES),
                      val=(new, torch.arange(200) % CLASSES))

    assert "duplicate_share" in found.absent
    assert ("leaked_share" not in found.absent) is told


def test_the_share_of_leaked_samples_lies_in_its_interval() -> None:
    x, y = table()
    new_x, new_y = table(1, 180)
    val = torch.cat([new_x, x[:20]]), torch.cat([new_y, y[:20]])
    found = looked_at(x, y, val=val)

    assert number(found, "leaked_samples") == 20
    assert number(found, "leaked_share_low") < 0.1 < number(found, "leaked_share_high")


def test_other_samples_are_no_leak_and_no_shift() -> None:
    found = looked_at(*table(), val=table(1, 200))

    assert number(found, "leaked_samples") == 0
    assert number(found, "input_rescaling") < 1.2
    assert number(found, "input_shift") < 0.2
    assert number(found, "label_distance") < 0.1


@pytest.mark.parametrize("mark", [-1, 0])
def test_samples_without_a_label_shift_no_labels(mark: int) -> None:
    x, y = table()
    marked = torch.where(torch.arange(len(y)) % 5 == 0, y, mark)
    loss = nn.CrossEntropyLoss(ignore_index=-1)
    found = looked_at(x, marked, loss, val=table(1, 200))

    # As many of a class are a shift.
    assert (number(found, "label_distance") > 0.4) == (mark == 0)
    assert (number(found, "rarest_class_evenness") > 0.6) == (mark == -1)


@pytest.mark.parametrize("share", [0.6, 0.0])
def test_negative_labels_that_the_loss_gets_by_another_name_are_classes(share: float) -> None:
    x, y = table()
    val_x, val_y = table(1, 200)
    val_y[: int(share * 200)] = 0
    found = looked_at(x, y - 1, lambda output, y: nn.functional.cross_entropy(output, y + 1),
                      val=(val_x, val_y - 1))

    assert (number(found, "label_distance") > 0.2) == (share > 0)
    assert found.value("class_count") == CLASSES


def test_samples_that_the_loss_leaves_out_have_no_label() -> None:
    def of_the_labelled(output: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output[y >= 0], y[y >= 0])

    x, y = table()
    marked = torch.where(torch.arange(len(y)) % 5 == 0, y, -1)
    found = looked_at(x, marked, of_the_labelled, val=table(1, 200))

    assert number(found, "label_distance") < 0.2
    assert number(found, "labelled_samples") == len(y) / 5


def sequences(count: int, seed: int) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [torch.randint(1, 50, (int(torch.randint(8, 30, (), generator=g)),), generator=g)
            for _ in range(count)]


class Padded:
    """Batches as long as their longest sequence."""

    def __init__(self, rows: list[Tensor], size: int) -> None:
        self.rows, self.size = rows, size

    def __len__(self) -> int:
        return len(self.rows) // self.size

    def __iter__(self) -> Any:
        for i in range(len(self)):
            rows = self.rows[i * self.size:(i + 1) * self.size]
            tokens = nn.utils.rnn.pad_sequence(rows, batch_first=True)
            yield {"ids": tokens, "mask": (tokens > 0).long(), "labels": tokens[:, 0] % CLASSES}


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(50, 8), nn.Linear(8, CLASSES)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        out: Tensor = self.head((self.table(ids) * mask[..., None]).mean(1))
        return out


def words(train: list[Tensor], val: list[Tensor]) -> Any:
    nothing = torch.zeros(2, 1).long(), torch.zeros(2).long()
    return looked_at(*nothing, make_model=Words, make_train_loader=lambda: Padded(train, 32),
                     make_val_loader=lambda: Padded(val, 20))


def test_copies_of_sequences_are_found_whatever_they_are_filled_up_to() -> None:
    train, fresh = sequences(400, 0), sequences(80, 1)
    mixed = [train[i] for i in torch.randperm(400, generator=torch.Generator().manual_seed(2))]

    repeated = words(train[:304] + mixed[:80], fresh)
    leaky = words(train, mixed[:20] + fresh[:60])

    assert number(repeated, "duplicate_share") == pytest.approx(
        sum(row is other for row in mixed[:80] for other in train[:304]) / 384)
    assert 15 <= number(leaky, "leaked_samples") <= 20


def test_other_sequences_are_no_copies() -> None:
    found = words(sequences(416, 0), sequences(80, 1))

    assert number(found, "duplicate_share") == 0
    assert number(found, "leaked_share") == 0


@pytest.mark.parametrize("samples", [8 * 32 + 24, 8 * 32 + 7, 8 * 32])
@pytest.mark.parametrize("length", [24, 32])
def test_copies_are_found_where_a_batch_has_as_many_samples_as_its_sequences_are_long(
    samples: int, length: int,
) -> None:
    drawn = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 50, (40, length), generator=drawn)[torch.arange(samples) % 40]
    rows = TensorDataset(tokens, torch.ones_like(tokens), torch.arange(samples) % CLASSES)

    found = looked_at(*rows.tensors[::2], make_model=Words,
                      make_train_loader=lambda: DataLoader(rows, batch_size=32, shuffle=True))

    assert number(found, "duplicate_share") == pytest.approx((samples - 40) / samples)


def test_the_rows_of_a_graph_are_no_samples_to_be_compared() -> None:
    nodes = torch.randn(30, 5, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    links = torch.full((60, 60), 1 / 60)

    class Mixes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(5, CLASSES)

        def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
            out: Tensor = adjacency @ self.head(x)
            return out

    found = looked_at(nodes, torch.arange(60) % CLASSES, make_model=Mixes,
                      make_train_loader=lambda: [(nodes, links, torch.arange(60) % CLASSES)])

    assert "duplicate_share" in found.absent


class Spoken(Padded):
    """Sounds, their lengths, and all transcripts end to end with theirs, as for a CTC loss."""

    def __iter__(self) -> Any:
        for i in range(len(self)):
            rows = self.rows[i * self.size:(i + 1) * self.size]
            sounds = nn.utils.rnn.pad_sequence([row[:, None] / 50.0 for row in rows], True)
            spoken = [row[:int(row[0]) % 4 + 1] % CLASSES for row in rows]
            yield (sounds, torch.tensor([len(row) for row in rows]), torch.cat(spoken),
                   torch.tensor([len(word) for word in spoken]))


def test_copies_are_found_where_transcripts_lie_end_to_end() -> None:
    def heard(model: nn.Module, batch: Any) -> LossResult:
        sounds, lengths, words, counts = batch
        logits = model(sounds).log_softmax(2).transpose(0, 1)
        return LossResult(F.ctc_loss(logits, words + 1, lengths, counts), None)

    def spoken(val: list[Tensor]) -> Any:
        return looked_at(torch.zeros(2, 1), torch.zeros(2), compute=heard,
                         make_model=lambda: nn.Linear(1, CLASSES + 1),
                         make_train_loader=lambda: Spoken(sequences(416, 0), 32),
                         make_val_loader=lambda: Spoken(val, 20))

    assert number(spoken(sequences(416, 0)[100:180]), "leaked_share") == 1
    assert number(spoken(sequences(80, 1)), "leaked_share") == 0


class EndToEnd(Padded):
    """Texts end to end and their lengths, which are often the same."""

    def __iter__(self) -> Any:
        for i in range(len(self)):
            rows = self.rows[i * self.size:(i + 1) * self.size]
            yield (torch.cat(rows), torch.tensor([len(row) for row in rows]),
                   torch.stack([row[0] for row in rows]) % CLASSES)


def test_other_texts_that_lie_end_to_end_are_no_copies() -> None:
    class Bags(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.EmbeddingBag(50, CLASSES)

        def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
            out: Tensor = self.table(ids, lengths.cumsum(0) - lengths)
            return out

    def read(train: list[Tensor]) -> Any:
        return looked_at(torch.zeros(2, 1), torch.zeros(2), make_model=Bags,
                         make_train_loader=lambda: EndToEnd(train, 32))

    others = sequences(416, 0)
    # Neither all new nor all seen: an end that holds no new text is another epoch.
    some = torch.randperm(416, generator=torch.Generator().manual_seed(2))[:80].tolist()

    assert number(read(others), "duplicate_share") == 0
    assert number(read(others[:336] + [others[i] for i in some]), "duplicate_share") \
        == pytest.approx(sum(i < 336 for i in some) / 416)


def test_silence_is_no_copy_however_it_is_filled_up() -> None:
    g = torch.Generator().manual_seed(0)
    clips = [torch.randn(int(torch.randint(8, 30, (), generator=g)), 3, generator=g)
             for _ in range(416)]
    quiet = [torch.full_like(clip, -80.0) if i % 10 == 0 else clip for i, clip in enumerate(clips)]

    class Clips(Padded):
        def __iter__(self) -> Any:
            for i in range(len(self)):
                rows = self.rows[i * self.size:(i + 1) * self.size]
                yield (nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-80.0),
                       torch.arange(len(rows)) % CLASSES)

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(x.mean(1) / 80)
            return out

    found = looked_at(torch.zeros(2, 3), torch.zeros(2).long(), make_model=Mean,
                      make_train_loader=lambda: Clips(quiet, 32))

    assert number(found, "duplicate_share") == 0


def test_numbers_that_cannot_be_sorted_are_compared_all_the_same() -> None:
    x = torch.randn(320, 8, generator=torch.Generator().manual_seed(0)).to(torch.complex64)

    class Real(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, CLASSES)

        def forward(self, value: Tensor) -> Tensor:
            out: Tensor = self.head(value.real)
            return out

    found = looked_at(x, torch.arange(320) % CLASSES, make_model=Real)

    assert found.status == "measured"
