"""The class labels of the samples, and how rare the rarest class is."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from auditor import task
from auditor.losscall import LossCall
from auditor.lossvalue import CLASS_LOSSES

from ._firstlook import FirstLook
from ._samples import Samples

_MOST_CLASSES = 1000
_ERROR = 0.025
# With two outputs, one class that never comes is a constant target; two classes make a task.
_FEW = 2


@dataclass(frozen=True)
class Rarity:
    """The rarest class of a sample.

    Attributes:
        label: Its number.
        share: Of the samples.
        evenness: Share relative to equal shares, at the upper end of its 95 % interval; of the
            rarest classes together where that is less, up to half of all.
        together: How many of the rarest classes that is of.
        weights: Inverse frequencies, 1 on average over the samples.
        unseen: Classes that training never sees: only the validation samples hold them, or class 0
            where the labels are 1 to C - 1 for C outputs.
        from_one: The latter.
    """

    label: int
    share: float
    evenness: float
    together: int
    weights: tuple[float, ...]
    unseen: tuple[int, ...]
    from_one: bool = False


def class_labels(samples: Samples, look: FirstLook) -> Tensor | None:
    """Return one class number per sample, (N,); None where a sample has not exactly one class."""
    described = task.describe(look.calls[0] if look.calls else (), samples.sizes[0])
    if described is None or described.kind not in ("classification", "binary"):
        return None
    return labels_in(samples.target)


def labels_in(target: Tensor | None) -> Tensor | None:
    """Return class numbers from indices, one-hot rows or yes and no; None if they are none."""
    if target is None or target.dim() > 2 or not target.numel():
        return None
    if target.dim() == 2 and target.shape[1] > 1:
        one_hot = bool((target.sum(dim=1) == 1).all()) and bool(
            ((target == 0) | (target == 1)).all())
        return target.argmax(dim=1) if one_hot else None
    flat = target.reshape(-1)
    if flat.is_floating_point() and not bool((flat == flat.round()).all()):
        return None
    labels = flat.long()
    return labels if int(torch.unique(labels).numel()) <= _MOST_CLASSES else None


def marks_of(labels: Tensor, look: FirstLook, size: int) -> tuple[int, ...]:
    """Return the negative numbers that mark samples without a label; none where they are classes.

    They are marks where the loss ignores them, or where it gets fewer rows than the batch has.

    Args:
        labels: (N,) of the training samples.
        look: Holds the loss calls of the first batch.
        size: Samples in that batch.
    """
    main = look.main
    if main is None or main.target is None:
        return ()
    negative = torch.unique(labels[labels < 0]).tolist()
    leaves_out = main.target.dim() > 0 and len(main.target) < size
    marks = tuple(n for n in negative if leaves_out or n == main.settings.get("ignore_index", -100))
    return marks if len(torch.unique(without(labels, marks))) >= _FEW else ()


def without(labels: Tensor, marks: tuple[int, ...]) -> Tensor:
    """Return the labels, (N,), without these."""
    return labels[~torch.isin(labels, labels.new_tensor(marks))] if marks else labels


def weighing(call: LossCall | None) -> str:
    """Return how a loss call makes up for rare classes; empty when it does not."""
    if call is None:
        return ""
    if call.settings.get("weight") is not None or call.settings.get("pos_weight") is not None:
        return "the loss weighs the classes"
    return "the loss weighs the samples itself" if call.reduction == "none" else ""


def outputs_of(call: LossCall | None) -> int:
    """Return for how many classes the model has outputs; 0 if they are no classes of their own.

    A class that the loss ignores, or that marks what is no class, is never a target on purpose.
    """
    if call is None or call.name not in CLASS_LOSSES or call.input.dim() != 2:
        return 0
    return 0 if call.settings.get("ignore_index", -100) >= 0 else int(call.input.shape[1])


def rarity(labels: Tensor, val: Tensor | None, outputs: int = 0) -> Rarity | None:
    """Return how rare the rarest class is; None with fewer than two classes.

    The interval is Clopper and Pearson's, corrected for the number of ways to choose the classes.

    Args:
        labels: (N,) class numbers of the training stream.
        val: (M,) those of the validation samples, which may hold classes never seen in training.
        outputs: Of the model, one for each class; 0 if unknown.
    """
    names, counts = torch.unique(labels, return_counts=True)
    extra = torch.unique(val) if val is not None else names[:0]
    unseen = [int(name) for name in extra if int(name) not in set(names.tolist())]
    from_one = outputs > _FEW and names.tolist() == list(range(1, outputs)) and not unseen
    if from_one:
        unseen = [0]
    classes, total = len(names) + len(unseen), len(labels)
    if classes < 2:
        return None
    rarest = 0 if unseen else int(counts.min())
    label = unseen[0] if unseen else int(names[counts.argmin()])
    # Several rare classes together tell more than the rarest of them alone.
    alone = sorted([0] * len(unseen) + counts.tolist())[: max(1, classes // 2)]
    evenness, together = min(
        (_upper(seen, total, _ERROR / math.comb(classes, many)) * classes / many, many)
        for many, seen in enumerate(itertools.accumulate(alone), 1))
    weights = tuple((total / (len(names) * counts.double())).tolist())
    return Rarity(label, rarest / total, evenness, together, weights, tuple(unseen), from_one)


def _upper(seen: int, total: int, error: float) -> float:
    """Return the upper end of Clopper and Pearson's interval for a share."""
    # Imported late: it takes a third of a second.
    from scipy import special

    # The complement: an error may be far below what one less it can tell.
    return 1 - float(special.betaincinv(total - seen, seen + 1, error))
