"""Watches one forward pass: every module and every activation, loss and random call, by path.

Module hooks alone miss `F.relu(x)` and `x.sigmoid()`, so a `TorchFunctionMode` sees all calls, and
a stack kept by global module hooks says in which module each one happens. Nothing is kept here:
listeners look at the tensors while they exist and leave scalars behind.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from auditor import functions

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


class Listener(Protocol):
    """Takes the calls of a watched pass; unneeded kinds are ignored."""

    def on_function(self, call: Call) -> None:
        """Take a torch function call in `forward` or in the loss."""
        ...

    def on_module(self, call: Call) -> None:
        """Take a call of a module that has parameters of its own or no children."""
        ...


class Watcher(TorchFunctionMode):
    """Sends every call of a forward pass to its listeners.

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
        self._listeners = tuple(listeners)
        self._stack: list[nn.Module] = []
        self._seen: Counter[str] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None,
    ) -> Any:
        """Run the function, then tell the listeners."""
        kwargs = kwargs or {}
        if not (self._everything or func in _INTERESTING) or func in _ACCESSORS:
            return func(*args, **kwargs)
        module = self._stack[-1] if self._stack else None
        path = self._path(module)
        name = path if _is_leaf(module) else f"{path}:{func.__name__.rstrip('_')}"
        # Only activations are layers with names of their own, so only they are numbered.
        subject = self._numbered(name) if func in functions.ACTIVATIONS else name
        other = self._instead(subject, func) if self._instead else None
        try:
            output = (other or func)(*args, **kwargs)
        except Exception:
            self._tell(Call(subject, path, module, func, tuple(args), kwargs, None))
            raise
        self._tell(Call(subject, path, module, func, tuple(args), kwargs, output))
        return output

    def enter_module(self, module: nn.Module, args: Any) -> None:
        """Note that a module's forward begins."""
        self._stack.append(module)

    def leave_module(self, module: nn.Module, args: Any, output: Any) -> None:
        """Note that a module's forward has ended, also when it raised."""
        if module not in self._stack[-1:]:
            return
        self._stack.pop()
        if output is None or not (_has_own_parameters(module) or not any(module.children())):
            return
        path = self._path(module)
        call = Call(self._numbered(f"{path}|module"), path, module, None, args, {}, output)
        for listener in self._listeners:
            listener.on_module(call)

    def _tell(self, call: Call) -> None:
        for listener in self._listeners:
            listener.on_function(call)

    def _path(self, module: nn.Module | None) -> str:
        if module is None:
            return ""
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
    with ExitStack() as stack:
        for handle in (
            hooks.register_module_forward_pre_hook(watcher.enter_module),
            hooks.register_module_forward_hook(watcher.leave_module, always_call=True),
        ):
            stack.callback(handle.remove)
        if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
            # Modes and hooks see nothing inside compiled code; eager runs leave it valid.
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(watcher)
        yield watcher


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


_INTERESTING = (
    set(functions.ACTIVATIONS) | set(functions.LOSSES) | set(functions.CUTS)
    | set(functions.DROPOUTS) | set(functions.SAMPLERS) | set(functions.JOINS)
    | set(functions.RESHAPES) | set(functions.CLAMPS) | set(functions.WEIGHTED)
)


# Reading `x.shape` or `x.grad_fn` is a torch function call too, and never computes anything;
# only `x.data` makes a tensor, without its graph.
_ACCESSORS = {
    accessor.__get__ for name in dir(Tensor) if not name.startswith("__")
    if hasattr(accessor := getattr(Tensor, name), "__get__") and not callable(accessor)
} | {Tensor.size, Tensor.dim, Tensor.stride, Tensor.numel, Tensor.is_contiguous}
_ACCESSORS -= set(functions.CUTS)


def _is_leaf(module: nn.Module | None) -> bool:
    return module is not None and not any(module.children()) and not _has_own_parameters(module)


def _has_own_parameters(module: nn.Module) -> bool:
    return any(parameter is not None for parameter in module._parameters.values())
