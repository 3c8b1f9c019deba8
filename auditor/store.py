"""Batches fetched once and shared by all probes, under a limit of bytes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from auditor import batches
from auditor.errors import TargetError
from auditor.isolation import seed_all, seeded, undisturbed
from auditor.loaders import private_loader, tell_deaths_when_asked
from auditor.usercode import user_code

if TYPE_CHECKING:
    from auditor.target import Target

# A gigabyte holds thousands of ordinary batches and still leaves room for the model.
BYTE_LIMIT = 1 << 30
FETCH_SECONDS = 30.0
_SEED_STRIDE = 100_003
# Putting random states and defaults aside takes as long as a small batch; so several that are
# quick and small are read at a time.
_TOGETHER, _QUICK_SECONDS, _LIGHT_BYTES = 8, 0.02, 4 << 20
_END = object()

_Found = TypeVar("_Found")


class Pass:
    """One pass over a loader, read as far as anybody asks, and remembered.

    Attributes:
        batches: What has been read, on the target's device.
        waits: Seconds that each fetch took.
        exhausted: The loader ended; `batches` is the whole epoch.
        loader: What is read; only to be looked at.
    """

    def __init__(self, loader: Iterable[Any], target: Target, seed: int, what: str) -> None:
        self.batches: list[Any] = []
        self.waits: list[float] = []
        self.exhausted = False
        self._bytes = 0
        self._device = target.device
        self._surroundings = target.surroundings
        self._seed = seed
        self._what = what
        self._iterator: Iterator[Any] | None = None
        self.loader = loader
        self._problem: TargetError | None = None
        self._size, self._together = BYTE_LIMIT, 1

    def take(self, count: int) -> list[Any]:
        """Return the first `count` batches, fewer when the loader or the byte limit ends sooner.

        Raises:
            TargetError: The loader failed or hung.
        """
        while len(self.batches) < count and not self.exhausted and self._bytes < BYTE_LIMIT:
            room = (BYTE_LIMIT - self._bytes) // max(self._size, 1)
            for batch in self.unkept(min(count - len(self.batches), max(room, 1))):
                self._bytes += batches.size_in_bytes(batch)
                self.batches.append(batch)
        return self.batches[:count]

    def unkept(self, count: int) -> Iterator[Any]:
        """Yield the next batches, at most `count`, without remembering them.

        Raises:
            TargetError: The loader failed or hung.
        """
        while count > 0 and not self.exhausted:
            if self._problem is not None:
                raise self._problem
            read = self._read(min(count, self._together))
            count -= len(read)
            # A generator that holds what it has given would keep one batch too many.
            while read:
                yield read.popleft()

    def _read(self, count: int) -> deque[Any]:
        """Return the next batches, those before the end or before a problem."""
        read: deque[Any] = deque()
        with self._surroundings(), undisturbed():
            for _ in range(count):
                # A seed for each batch: the samples do not depend on who asked for how many.
                seed_all(self._seed * _SEED_STRIDE + len(self.waits))
                try:
                    batch = self._fetched()
                except TargetError:
                    if not read:
                        raise
                    # It is raised when somebody asks for more than these.
                    return read
                if batch is _END:
                    self.exhausted = True
                    return read
                read.append(batch)
        self._size = batches.size_in_bytes(read[-1])
        light = self._size < _LIGHT_BYTES and self.waits[-1] < _QUICK_SECONDS
        self._together = _TOGETHER if light else 1
        return read

    def _fetched(self) -> Any:
        number = len(self.waits)
        doing = f"fetching batch {number} of the {self._what}"
        begin = time.perf_counter()
        try:
            with user_code(doing, seconds=FETCH_SECONDS):
                if self._iterator is None:
                    self._iterator = iter(self.loader)
                    tell_deaths_when_asked()
                fetched = next(self._iterator, _END)
        except TargetError as problem:
            # What is left of an iterator that failed must not pass for the end of the data.
            self._problem = problem
            raise
        if fetched is _END:
            return _END
        self.waits.append(time.perf_counter() - begin)
        with user_code(f"copying batch {number}"):
            return batches.move(batches.private(fetched), self._device)

    def close(self) -> None:
        """Stop worker processes."""
        self._iterator = None


class BatchStore:
    """The batches of one audit.

    Args:
        target: Whose loaders are read.
        seed: Of the loaders' random order.
    """

    def __init__(self, target: Target, seed: int = 0) -> None:
        self._target = target
        self._seed = seed
        self._train: Pass | None = None
        self._val: Pass | None = None
        self._others: list[Pass] = []
        self._found: dict[str, Any] = {}

    @property
    def training_pass(self) -> Pass:
        """The shared pass over the training loader."""
        if self._train is None:
            self._train = self._open(self._target.make_train_loader, self._seed, "training loader")
        return self._train

    def train(self, count: int) -> list[Any]:
        """Return at most `count` training batches, always the same ones."""
        return self.training_pass.take(count)

    def val(self, count: int) -> list[Any]:
        """Return at most `count` validation batches; none when there is no validation loader."""
        if self._target.make_val_loader is None:
            return []
        if self._val is None:
            self._val = self._open(self._target.make_val_loader, self._seed, "validation loader")
        return self._val.take(count)

    @property
    def val_exhausted(self) -> bool:
        """Whether `val` has read the whole validation set."""
        return self._val is not None and self._val.exhausted

    def another_epoch(self, count: int, number: int = 1) -> Iterator[Any]:
        """Yield the first batches of a further pass over the training loader; none is kept."""
        other = self._open(self._target.make_train_loader, self._seed + number, "training loader")
        try:
            yield from other.unkept(count)
        finally:
            other.close()
            self._others.remove(other)

    def cycled(self, count: int, of: int | None = None) -> Iterator[Any]:
        """Yield `count` private training batches, cycling over the first `of` ones."""
        stored = self.train(of or count)
        for step in range(count if stored else 0):
            yield batches.private(stored[step % len(stored)])

    def once(self, name: str, find: Callable[[], _Found]) -> _Found:
        """Return what was found of these batches before by that name, else find it and keep it."""
        if name not in self._found:
            self._found[name] = find()
        return self._found[name]  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let go of the loaders."""
        for opened in self._others:
            opened.close()

    def _open(self, make: Any, seed: int, what: str) -> Pass:
        with self._target.surroundings(), user_code(f"making the {what}"), seeded(seed):
            loader = private_loader(make())
        opened = Pass(loader, self._target, seed, what)
        self._others.append(opened)
        return opened
