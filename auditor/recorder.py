"""Watches one forward pass: every module and every activation, loss and random call, by path.

Module hooks alone miss `F.relu(x)` and `x.sigmoid()`, so a `TorchFunctionMode` sees all calls, and
a stack kept by global module hooks says in which module each one happens. Nothing is kept here:
listeners look at the tensors while they exist and leave scalars behind; those that follow the loss
hold what the model put out until the pass ends.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from auditor import functions
from auditor.errors import AuditorError, OwnFault
from auditor.isolation import eagerly
from auditor.modulehooks import is_transformed, on_calls

Frame = Any
# What is called in place of a function: (subject, function) -> another function, or None.
Instead: TypeAlias = Callable[[str, Callable[..., Any]], Callable[..., Any] | None]


@dataclass(frozen=True, slots=True)
class Call:
    """One call in a forward pass, with its live tensors.

    Attributes:
        subject: Name of the layer: the module's path, or `path:function` for a call in `forward`;
            `#2` and so on when one name is used again in the same pass.
        path: Path of the module that makes the call; empty for the root.
        module: That module; for leaf modules the layer itself.
        function: The torch function; None for a leaf module's own call.
        args: Positional arguments (for a module: its inputs).
        kwargs: Keyword arguments.
        output: What came back.
    """

    subject: str
    path: str
    module: nn.Module | None
    function: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any

    @property
    def is_outside(self) -> bool:
        """Whether none of the model's modules makes the call: a step or a loss does."""
        # The path of a module that is none of the model's is its class in brackets.
        return self.module is None or self.path.startswith("(")


class Listener(Protocol):
    """Takes the calls of a watched pass; unneeded kinds are ignored.

    A listener that has an attribute `listens_to`, a set of functions, is told of these only. One
    that has a method `on_answer` is given what the model puts out, and is told of all functions
    that are called outside of it.
    """

    def on_function(self, call: Call) -> None:
        """Take a torch function call in `forward` or in the loss."""
        ...

    def on_module(self, call: Call) -> None:
        """Take a call of a module that has parameters of its own or no children."""
        ...


@runtime_checkable
class Follower(Protocol):
    """A listener that follows what the model puts out through the loss."""

    def begin_pass(self) -> None:
        """Take note that a pass begins."""
        ...

    def end_pass(self) -> None:
        """Let go of its tensors."""
        ...

    def on_answer(self, output: Any) -> None:
        """Take what the model, or a part of it that is called from outside, has put out."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    """What there is to know of a module: its path, and whether it is a layer of its own."""

    path: str
    is_leaf: bool
    is_told: bool


class Watcher(TorchFunctionMode):
    """Sends every call of a forward pass to its listeners; may be attached again and again.

    Args:
        model: The model; only its modules have paths, others are named after their class.
        listeners: In the order in which they are told.
        everything: Tell them of all torch functions, not only of those in the tables.
        instead: Chooses functions to be called in place of the user's.
    """

    def __init__(
        self, model: nn.Module, listeners: Sequence[Listener], *, everything: bool = False,
        instead: Instead | None = None,
    ) -> None:
        super().__init__()
        self._everything = everything
        self._instead = instead
        self._paths: dict[int, str] = {id(m): path for path, m in model.named_modules()}
        self._modules: dict[int, _Known] = {}
        self._listeners = tuple(listeners)
        self._told: dict[tuple[Callable[..., Any], bool], tuple[Listener, ...] | None] = {}
        self._followers = tuple(one for one in self._listeners if isinstance(one, Follower))
        self._stack: list[nn.Module] = []
        # How many modules of the model are at work.
        self._inside = 0
        self._seen: Counter[str] = Counter()

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Watch what runs inside as one pass; no hook is left behind, whatever happens."""
        self._stack.clear()
        self._seen.clear()
        self._inside = 0
        # Modes and hooks see nothing inside compiled code; eager runs leave it valid.
        with on_calls(self.enter_module, self.leave_module), eagerly(), self:
            for follower in self._followers:
                follower.begin_pass()
            try:
                yield
            finally:
                for follower in self._followers:
                    follower.end_pass()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None,
    ) -> Any:
        """Run the function, then tell the listeners."""
        kwargs = kwargs or {}
        outside = not self._inside
        if (func, outside) not in self._told:
            self._told[func, outside] = self._listeners_of(func, outside)
        listeners = self._told[func, outside]
        if listeners is None or is_transformed():
            return func(*args, **kwargs)
        module = self._stack[-1] if self._stack else None
        known = self._known(module) if module is not None else _NOWHERE
        name = known.path if known.is_leaf else f"{known.path}:{func.__name__.rstrip('_')}"
        # Only activations are layers with names of their own, so only they are numbered.
        subject = self._numbered(name) if func in functions.ACTIVATIONS else name
        other = self._instead(subject, func) if self._instead else None
        try:
            output = (other or func)(*args, **kwargs)
        except Exception:
            _tell(listeners, Call(subject, known.path, module, func, tuple(args), kwargs, None))
            raise
        _tell(listeners, Call(subject, known.path, module, func, tuple(args), kwargs, output))
        return output

    def enter_module(self, module: nn.Module, args: Any) -> None:
        """Note that a module's forward begins."""
        self._stack.append(module)
        self._inside += id(module) in self._paths

    def leave_module(self, module: nn.Module, args: Any, output: Any) -> None:
        """Note that a module's forward has ended, also when it raised."""
        if not self._stack or self._stack[-1] is not module:
            return
        self._stack.pop()
        if id(module) in self._paths:
            self._inside -= 1
            for follower in self._followers if not self._inside else ():
                follower.on_answer(output)
        known = self._known(module)
        if output is None or not known.is_told:
            return
        call = Call(self._numbered(f"{known.path}|module"), known.path, module, None, args, {},
                    output)
        with to_our_account(call.subject):
            for listener in self._listeners:
                listener.on_module(call)

    def _listeners_of(
        self, func: Callable[..., Any], outside: bool,
    ) -> tuple[Listener, ...] | None:
        """Return who is told of a function; None if it is just to be called."""
        if func in _ACCESSORS:
            return None
        interesting = self._everything or func in _INTERESTING
        told = tuple(listener for listener in self._listeners
                     if (interesting and func in getattr(listener, "listens_to", (func,)))
                     or (outside and listener in self._followers))
        if not interesting and not told:
            return None
        return told if told or self._instead is not None else None

    def _known(self, module: nn.Module) -> _Known:
        known = self._modules.get(id(module))
        if known is None:
            known = _Known(self._path(module), is_leaf(module),
                           _has_own_parameters(module) or not any(module.children()))
            if id(module) in self._paths:
                # Others may be gone tomorrow, and their number be another one's.
                self._modules[id(module)] = known
        return known

    def _path(self, module: nn.Module) -> str:
        known = self._paths.get(id(module))
        if known is not None:
            return known
        known_above = (self._paths.get(id(m)) for m in reversed(self._stack))
        outer = next((path for path in known_above if path is not None), "")
        return f"{outer}.({type(module).__name__})".lstrip(".")

    def _numbered(self, name: str) -> str:
        self._seen[name] += 1
        plain = name.partition("|")[0]
        return plain if self._seen[name] == 1 else f"{plain}#{self._seen[name]}"


@contextmanager
def watching(
    model: nn.Module, *listeners: Listener, everything: bool = False,
    instead: Instead | None = None,
) -> Iterator[Watcher]:
    """Watch everything that runs inside; no hook is left behind, whatever happens."""
    watcher = Watcher(model, listeners, everything=everything, instead=instead)
    with watcher.attached():
        yield watcher


def _tell(listeners: Sequence[Listener], call: Call) -> None:
    with to_our_account(call.subject):
        for listener in listeners:
            listener.on_function(call)


@contextmanager
def to_our_account(subject: str) -> Iterator[None]:
    """Call what fails inside by its name: around it runs the user's code, which is not to blame."""
    try:
        yield
    except AuditorError:
        raise
    except Exception as problem:
        raise OwnFault(
            f"A fault of the auditor while it watched {subject or 'the loss'}: "
            f"{type(problem).__name__}: {problem}") from problem


def caller_frames() -> Iterator[Frame]:
    """Yield the frames above the present torch function call, innermost first."""
    frame: Frame | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a nested output or argument, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from tensors_in(getattr(value, name))


# Of calls outside of all modules.
_NOWHERE = _Known("", is_leaf=False, is_told=False)

_INTERESTING = (
    set(functions.ACTIVATIONS) | set(functions.LOSSES) | set(functions.CUTS)
    | set(functions.DROPOUTS) | set(functions.SAMPLERS) | set(functions.JOINS)
    | set(functions.RESHAPES) | set(functions.CLAMPS) | set(functions.WEIGHTED)
    | set(functions.LOGSUMEXPS) | set(functions.DIFFERENCES)
)


# Reading `x.shape` or `x.grad_fn` is a torch function call too, and never computes anything;
# only `x.data` makes a tensor, without its graph.
_ACCESSORS = {
    accessor.__get__ for name in dir(Tensor) if not name.startswith("__")
    if hasattr(accessor := getattr(Tensor, name), "__get__") and not callable(accessor)
} | {Tensor.size, Tensor.dim, Tensor.stride, Tensor.numel, Tensor.is_contiguous}
_ACCESSORS -= set(functions.CUTS)


def is_leaf(module: nn.Module) -> bool:
    return not any(module.children()) and not _has_own_parameters(module)


def _has_own_parameters(module: nn.Module) -> bool:
    return any(parameter is not None for parameter in module._parameters.values())
