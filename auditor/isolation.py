"""Runs things without leaving a trace in the process: random state, defaults, flags, objects."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor
from torch._tensor_str import PRINT_OPTS

from auditor.precision import Precision


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed python, numpy and torch inside, and put every generator and default back after."""
    with undisturbed():
        seed_all(seed)
        yield


def seed_all(seed: int) -> None:
    """Seed the global generators of python, numpy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    # `torch.manual_seed` also formats a stack trace for every device that is not there.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put random states, default dtype and device, grad mode and backend flags back after."""
    generators, defaults = Generators.now(), Defaults.now()
    try:
        with warnings.catch_warnings():
            yield
    finally:
        generators.apply()
        defaults.apply()


@contextmanager
def warned_once() -> Iterator[None]:
    """Show each of the user's warnings once, though trials put the filters back all the time.

    The same words with other numbers (shapes, steps) are the same warning.
    """
    show, seen = warnings.showwarning, set[str]()

    def show_new(
        message: Warning | str, category: type[Warning], filename: str, lineno: int,
        file: TextIO | None = None, line: str | None = None,
    ) -> None:
        words = re.sub(r"\d+", "", str(message))
        if words not in seen:
            seen.add(words)
            show(message, category, filename, lineno, file, line)

    warnings.showwarning = show_new
    try:
        yield
    finally:
        warnings.showwarning = show


@dataclass(frozen=True)
class Generators:
    """The states of the global random generators of python, numpy and torch (all devices)."""

    python: tuple[Any, ...]
    numpy: Any
    cpu: Tensor
    cuda: list[Tensor] | None

    @classmethod
    def now(cls) -> Generators:
        """Return them as they are."""
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)

    def apply(self) -> None:
        """Put them in place."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state_all(self.cuda)


@dataclass(frozen=True)
class Defaults:
    """The settings of torch that hold for the whole process."""

    dtype: torch.dtype
    device: torch.device
    grad: bool
    deterministic: tuple[bool, bool]
    cudnn: tuple[bool, bool, bool]
    precision: Precision
    threads: int
    anomaly: bool
    numpy_errors: Mapping[str, Any]
    numpy_printing: Mapping[str, Any]
    printing: Mapping[str, Any]

    @classmethod
    def now(cls) -> Defaults:
        """Return them as they are."""
        return cls(
            dtype=torch.get_default_dtype(),
            device=_default_device(),
            grad=torch.is_grad_enabled(),
            deterministic=_deterministic(),
            cudnn=(torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark,
                   torch.backends.cudnn.deterministic),
            precision=Precision.now(),
            threads=torch.get_num_threads(),
            anomaly=torch.is_anomaly_enabled(),
            numpy_errors=dict(np.geterr()),
            numpy_printing=np.get_printoptions(),
            printing=dict(vars(PRINT_OPTS)),
        )

    def apply(self) -> None:
        """Put them in place, as far as they differ."""
        torch.set_default_dtype(self.dtype)
        if _default_device() != self.device:
            # None takes the mode off again; "cpu" would leave one behind on every torch call.
            torch.set_default_device(None if self.device.type == "cpu" else self.device)
        torch.set_grad_enabled(self.grad)
        deterministic, warn_only = self.deterministic
        # The call imports torch's compiler, which takes seconds, so it is made only if it has to.
        if _deterministic() != self.deterministic:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        cudnn = torch.backends.cudnn
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic = self.cudnn
        self.precision.apply()
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        if torch.is_anomaly_enabled() != self.anomaly:
            torch.set_anomaly_enabled(self.anomaly)
        np.seterr(**self.numpy_errors)
        if np.get_printoptions() != self.numpy_printing:
            np.set_printoptions(**self.numpy_printing)
        vars(PRINT_OPTS).update(self.printing)


def _default_device() -> torch.device:
    """Return it; torch 2.4 cannot tell it once a default has been taken back."""
    return torch.empty(0).device


def _deterministic() -> tuple[bool, bool]:
    return (torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled())


@contextmanager
def eagerly() -> Iterator[None]:
    """Run code that `torch.compile` would compile as it is written.

    Compiling every fresh copy would take longer than its trial.
    """
    if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield


@contextmanager
def quiet_stdout() -> Iterator[None]:
    """Send what is printed inside to stderr, also by C code and by child processes."""
    sys.stdout.flush()
    stream = sys.stdout
    try:
        kept = os.dup(1)
    except OSError:
        # There is no file descriptor 1 (closed, or a service without a terminal).
        kept = -1
    try:
        if kept >= 0:
            os.dup2(2, 1)
        sys.stdout = sys.stderr
        yield
    finally:
        sys.stdout = stream
        if kept >= 0:
            os.dup2(kept, 1)
            os.close(kept)


@dataclass(frozen=True)
class Interpreter:
    """What a program may change of the interpreter itself."""

    path: list[str]
    argv: list[str]
    folder: str
    dont_write_bytecode: bool
    recursion_limit: int
    environment: dict[str, str]

    @classmethod
    def now(cls) -> Interpreter:
        """Return it as it is."""
        return cls(list(sys.path), list(sys.argv), os.getcwd(), sys.dont_write_bytecode,
                   sys.getrecursionlimit(), dict(os.environ))

    def apply(self) -> None:
        """Put it in place; `sys.path`, `sys.argv` and `os.environ` stay the same objects."""
        sys.path[:] = self.path
        sys.argv[:] = self.argv
        if os.getcwd() != self.folder:
            os.chdir(self.folder)
        sys.dont_write_bytecode = self.dont_write_bytecode
        if sys.getrecursionlimit() != self.recursion_limit:
            sys.setrecursionlimit(self.recursion_limit)
        for name in os.environ.keys() - self.environment:
            del os.environ[name]
        for name, value in self.environment.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


@contextmanager
def own_signals() -> Iterator[None]:
    """Put the handlers of signals back that were changed inside.

    Only Python's main thread can set them, so elsewhere there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None stands for a handler of C code, which can only be left as it is.
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)


@contextmanager
def unchanged_process() -> Iterator[None]:
    """Put back after everything that this module knows of the process."""
    interpreter = Interpreter.now()
    try:
        with own_signals(), undisturbed():
            yield
    finally:
        interpreter.apply()
