"""Whether predictions of the next token see that token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from auditor import batches
from auditor.errors import TargetError
from auditor.isolation import seed_all, seeded
from auditor.losscall import LossCall, LossCalls
from auditor.modes import evaluating
from auditor.observation import Quantity
from auditor.probe import Cost, NotApplicable, ProbeContext
from auditor.recorder import watching
from auditor.trial import Bench

from ._streams import is_one_stream

_LOSSES = ("cross_entropy", "nll_loss")
_SHORTEST = 4
# Targets that have to be the next token, and how many of them at least.
_NEARLY_ALL, _FEWEST = 0.99, 32
# Sequences in which a token mostly is its own next one do not tell.
_SELF = 0.5
# A prediction that changes by less than this part of its spread over the classes is the same.
_ROUNDING = 1e-4
# So many of those asked have to change; where few do (routers, hashes), others' choices are seen.
_SEEN = 0.9
# A branch that begins at zero opens with the first steps.
_STEPS = 2


class Lookahead:
    """Changes one token of each sequence, and watches the prediction that is to guess it."""

    name: ClassVar[str] = "lookahead"
    says: ClassVar[str] = "changes tokens and watches the predictions that are to guess them"
    cost: ClassVar[Cost] = Cost(steps=8, minimum_steps=2)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("seen_answers", "share", "predictions of a next token that change with that very "
                 "token"),
        Quantity("asked_predictions", "", "predictions whose token was changed"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook.

        Raises:
            NotApplicable: No loss compares predictions with the next token of a sequence in the
                batch, or more than one way leads from the sequence to the predictions.
        """
        batch = context.batches.train(1)[0]
        tokens = [tensor for _, tensor in batches.places_of(batch) if _is_tokens(tensor)]
        if not tokens:
            raise NotApplicable("no sequences of tokens in the batch")
        with seeded(context.seed):
            bench = Bench(context.target)
            found = max((_Asked(bench, batch, one, question, context.seed).answer(context)
                         for one in tokens
                         for question in _questions(bench, batch, one, context.seed)),
                        default=None)
        if found is None:
            raise NotApplicable("no loss compares predictions with the next token of a sequence")
        context.note.measure("seen_answers", found[0])
        context.note.measure("asked_predictions", found[1])


@dataclass(frozen=True)
class _Question:
    """The predictions that are asked, one of each sequence.

    Attributes:
        call: Number of the loss call.
        rows: (K,) rows of the loss's input.
        shape: How many sequences there are, and how long they are.
        changed: The tokens, of which those that these rows are to predict are others.
    """

    call: int
    rows: Tensor
    shape: tuple[int, int]
    changed: Tensor


class _Asked:
    """One question, and the predictions to the tokens as they are."""

    def __init__(
        self, bench: Bench, batch: Any, tokens: Tensor, question: _Question, seed: int,
    ) -> None:
        self.bench, self.batch, self.tokens, self.seed = bench, batch, tokens, seed
        self.question = question
        self.other = batches.map_tensors(
            batch, lambda t: question.changed if t is tokens else t)

    def answer(self, context: ProbeContext) -> tuple[float, int]:
        """Return the share of the predictions that change, and how many were asked.

        Raises:
            NotApplicable: They change, but not only by what the model sees of the future.
        """
        seen = self._seen()
        if seen < _SEEN:
            for _ in range(_STEPS):
                self.bench.step(batches.private(self.batch))
            seen = self._seen()
            context.note.steps += _STEPS + 2
        context.note.steps += 3
        if seen >= _SEEN:
            if self._seen(self.batch) > 0:
                raise NotApplicable("the same batch gives different outputs in eval mode")
            if not is_one_stream(self.bench, self.batch, self.other, self.tokens,
                                 self.question.shape, self.seed):
                raise NotApplicable("the sequence reaches the predictions in more than one way")
        return seen, len(self.question.rows)

    def _seen(self, other: Any = None) -> float:
        mine = self._predictions(self.batch)
        theirs = self._predictions(self.other if other is None else other)
        moved = (mine - theirs).abs().amax(dim=1) > _ROUNDING * mine.std(dim=1)
        return float(moved.double().mean())

    def _predictions(self, batch: Any) -> Tensor:
        """Return the asked rows of the loss's input, (K, C)."""
        scores = _loss_calls(self.bench, batch, self.seed)[self.question.call].input
        rows = scores if scores.dim() == 2 else scores.movedim(1, -1).flatten(0, -2)
        return rows[self.question.rows.to(rows.device)].double()


def _is_tokens(tensor: Tensor) -> bool:
    whole = tensor.dtype in (torch.int64, torch.int32) and batches.is_dense(tensor)
    return whole and tensor.dim() == 2 and min(tensor.shape) > 1 and max(tensor.shape) >= _SHORTEST


def _loss_calls(bench: Bench, batch: Any, seed: int) -> list[LossCall]:
    listener = LossCalls()
    seed_all(seed)
    try:
        with evaluating(bench.model), watching(bench.model, listener):
            bench.loss(batches.private(batch))
    except TargetError as problem:
        raise NotApplicable(f"the model does not run in eval mode: {problem.message}") from problem
    return listener.calls


def _questions(bench: Bench, batch: Any, tokens: Tensor, seed: int) -> Iterator[_Question]:
    """Yield a question for each loss whose targets are the next tokens of these sequences."""
    for number, call in enumerate(_loss_calls(bench, batch, seed)):
        if call.name not in _LOSSES or call.target is None or call.target.is_floating_point():
            continue
        ignored = int(call.settings.get("ignore_index", -100))
        for by_time in (False, True):
            found = _question(number, call.target.cpu(), tokens.cpu(), ignored, by_time=by_time)
            if found is not None and call.input.dim() >= 2:
                yield found
                break


def _question(
    number: int, target: Tensor, tokens: Tensor, ignored: int, *, by_time: bool,
) -> _Question | None:
    """Return what to ask where a target is the tokens one step on.

    Args:
        number: Of the loss call.
        target: Of any shape; its order is that of the sequences.
        tokens: (N, T), or (T, N) by time.
        ignored: Targets that do not count.
        by_time: The first dimension is the time.
    """
    sequences = tokens.t() if by_time else tokens
    count, length = sequences.shape
    if target.numel() not in (count * length, count * (length - 1)):
        return None
    rows = torch.arange(target.numel())
    rows = rows.reshape(-1, count).t() if by_time else rows.reshape(count, -1)
    rows = rows[:, :length - 1]
    answers, following = target.flatten()[rows], sequences[:, 1:]
    asked = answers != ignored
    total = int(asked.sum())
    if total < _FEWEST or int((asked & (answers == following)).sum()) < _NEARLY_ALL * total:
        return None
    if int((asked & (answers == sequences[:, :-1])).sum()) > _SELF * total:
        return None
    # What stands elsewhere in the sequence is a token that it may hold.
    spare = sequences.unsqueeze(1) != following.unsqueeze(2)
    asked &= (answers == following) & spare.any(dim=2)
    sample = asked.any(dim=1).nonzero().squeeze(1)
    place = torch.multinomial(asked[sample].double(), 1).squeeze(1)
    source = torch.multinomial(spare[sample, place].double(), 1).squeeze(1)
    changed = sequences.clone()
    changed[sample, place + 1] = sequences[sample, source]
    changed = (changed.t() if by_time else changed).contiguous()
    return _Question(number, rows[sample, place], (count, length), changed)
