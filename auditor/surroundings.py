"""What the user's code needs in the process while it runs, put in place and taken away again.

Its folder on `sys.path`, its modules in `sys.modules`, its `sys.argv`, its working folder, its
warning filters, and the defaults of torch that it has set (`torch.set_default_dtype`).
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from torch.optim.optimizer import register_optimizer_step_post_hook

from auditor.errors import TargetError, TargetTimeout
from auditor.isolation import Defaults, Interpreter, eagerly, own_signals
from auditor.sourcemap import place_of_caller
from auditor.spec import Spec
from auditor.usercode import code_frame, is_users, user_code

# What torch and the core import late. With the standard library's, these names are loaded before
# the user's folder is on `sys.path`: a file of theirs that is called `profile.py` or `queue.py`
# would otherwise be taken for the library's.
_LATE = frozenset({
    "filelock", "fsspec", "jinja2", "markupsafe", "mpmath", "networkx", "numpy", "packaging",
    "pydantic", "rich", "scipy", "sympy", "typing_extensions", "yaml",
})
# A file that is still taking optimizer steps so long after its first runs its whole training.
_TRAINING_SECONDS = 10.0
_GUARD = """Only define things at the top of the file, and put what runs behind the guard:

    if __name__ == "__main__":
        train()"""


class Surroundings:
    """Runs a user's file, and puts its surroundings in place for its factories.

    Entering twice is legal and does nothing the second time.

    Args:
        spec: What is run.

    Attributes:
        steps_at_import: Optimizer steps that the last run of the file took.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self.steps_at_import = 0
        self._inside = 0
        self._modules: dict[str, ModuleType] = {}
        self._before: dict[str, ModuleType] = {}
        self._interpreter: Interpreter | None = None
        self._defaults: Defaults | None = None
        self._filters: list[object] | None = None
        self._displaced = _displaced_names(spec)
        self._on_leaving: Callable[[], None] | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Put everything in place inside, and as it was after."""
        if self._inside:
            yield
            return
        _load_shadowed(self._spec, self._displaced)
        outer, defaults = Interpreter.now(), Defaults.now()
        self._before = dict(sys.modules)
        with warnings.catch_warnings(), eagerly(), own_signals():
            self._enter(outer)
            self._inside += 1
            try:
                yield
            finally:
                self._inside -= 1
                if self._on_leaving is not None:
                    self._on_leaving()
                self._leave()
                outer.apply()
                defaults.apply()

    def run(self, seconds: float) -> ModuleType:
        """Run the file from its first line and return its module; call it inside.

        A second run makes new modules of all of the user's files.

        Raises:
            TargetError: The file raised, ended the program or did not come to its end.
        """
        assert self._inside
        for name in self._own_modules():
            del sys.modules[name]
        importlib.invalidate_caches()
        given, begin = self._spec.given, time.monotonic()
        with _watching_training(given) as steps:
            try:
                with user_code(f"running {given}", seconds=seconds):
                    return self._import()
            except TargetTimeout as late:
                does = "trains while it is imported" if steps else "does not come to its end"
                raise TargetTimeout(
                    f"{given} {does}: it was stopped after {time.monotonic() - begin:.0f} s.",
                    where=late.where, hint=_GUARD,
                ) from None
            finally:
                self.steps_at_import = len(steps)

    def _import(self) -> ModuleType:
        if self._spec.is_package_member:
            return importlib.import_module(self._spec.module)
        return _execute(self._spec)

    def run_again(self, seconds: float) -> ModuleType:
        """Run the file once more; the modules of the first run stay in place after.

        Raises:
            TargetError: As `run`.
        """
        first = self._own_modules()
        try:
            return self.run(seconds)
        finally:
            for name in self._own_modules():
                del sys.modules[name]
            sys.modules.update(first)

    def values(self) -> Iterator[object]:
        """Yield what the user's modules hold; call it inside."""
        for module in self._own_modules().values():
            yield from vars(module).values()

    def on_leaving(self, restore: Callable[[], None]) -> None:
        """Call this whenever everything is taken away again."""
        self._on_leaving = restore

    def _enter(self, outer: Interpreter) -> None:
        if self._interpreter is None:
            path = [f for f in sys.path if f not in self._spec.folders]
            self._interpreter = replace(
                outer, path=[*self._spec.folders, *path], argv=[str(self._spec.file)],
                dont_write_bytecode=True,
            )
        self._interpreter.apply()
        for name in self._displaced:
            sys.modules.pop(name, None)
        sys.modules.update(self._modules)
        if self._defaults is not None:
            self._defaults.apply()
        if self._filters is not None:
            warnings.filters[:] = self._filters  # type: ignore[index]

    def _leave(self) -> None:
        self._interpreter = Interpreter.now()
        self._defaults = Defaults.now()
        self._filters = list(warnings.filters)
        self._modules = self._own_modules()
        for name in self._modules:
            del sys.modules[name]
        for name, module in self._before.items():
            if sys.modules.get(name) is not module:
                sys.modules[name] = module
        self._before = {}

    def _own_modules(self) -> dict[str, ModuleType]:
        """Return the modules that the user's files have brought."""
        return {
            name: module for name, module in sys.modules.items()
            if self._before.get(name) is not module and _is_users_module(module)
        }


@contextmanager
def _watching_training(given: str) -> Iterator[list[None]]:
    """Yield the list of optimizer steps that are taken inside; a long training is stopped."""
    steps: list[None] = []
    begin = math.inf

    def after_step(*_: object) -> None:
        nonlocal begin
        steps.append(None)
        # Importing libraries before the first step, which may take long, is no training.
        begin = min(begin, time.monotonic())
        if time.monotonic() - begin > _TRAINING_SECONDS:
            place = place_of_caller()
            where = code_frame(place.file, place.line) if place is not None else ""
            raise TargetTimeout(f"{given} trains.", where=where)

    handle = register_optimizer_step_post_hook(after_step)
    try:
        yield steps
    finally:
        handle.remove()


def _execute(spec: Spec) -> ModuleType:
    found = importlib.util.spec_from_file_location(spec.module, spec.file)
    if found is None or found.loader is None:
        raise TargetError(
            f"{spec.given} is not a Python file.", hint="Give a file that ends in .py.",
        )
    module = importlib.util.module_from_spec(found)
    # Workers of a DataLoader look classes up under this name.
    sys.modules[spec.module] = module
    found.loader.exec_module(module)
    return module


def _load_shadowed(spec: Spec, displaced: Sequence[str]) -> None:
    """Load the libraries' modules that files beside the user's would stand in for."""
    names = {entry.stem for folder in spec.folders for entry in Path(folder).iterdir()}
    for name in (names & (_LATE | sys.stdlib_module_names)) - {*displaced, "antigravity", "this"}:
        # Modules of other systems (winreg) have no finder here.
        if name not in sys.modules and importlib.util.find_spec(name) is not None:
            importlib.import_module(name)


def _is_users_module(module: object) -> bool:
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return is_users(file)
    # A folder without __init__.py is a package too; it has only a path.
    paths = list(getattr(module, "__path__", None) or ())
    return bool(paths) and all(is_users(f"{path}/x.py") for path in paths)


def _displaced_names(spec: Spec) -> list[str]:
    """Return the loaded modules that the user's own files of the same names stand in for.

    Only names that the user's files import themselves: what a library imports must stay its own.

    Raises:
        TargetError: One of them has the name of this package.
    """
    folder = Path(spec.folders[0])
    queue, seen, names = [spec.file], {spec.file}, []
    while queue:
        for name in _imported_names(queue.pop()):
            neighbour = _neighbour(folder, name)
            if neighbour is None or neighbour in seen:
                continue
            if name == "auditor":
                raise TargetError(
                    f"{spec.given} imports {neighbour.name}, and that is the auditor's own name.",
                    hint="Rename the file beside it.",
                )
            seen.add(neighbour)
            queue.append(neighbour)
            if not _is_users_module(sys.modules.get(name)):
                names.append(name)
    never = {"sys", "builtins", "torch", "numpy", "typing", "os", "auditor", *_startup_modules()}
    return [name for name in names if name not in never]


def _startup_modules() -> frozenset[str]:
    """Return what Python itself has loaded before any user's file; no file can stand in for it."""
    return frozenset(sys.builtin_module_names) | {
        "abc", "codecs", "encodings", "io", "site", "stat", "types", "collections", "functools",
        "re", "enum", "warnings", "contextlib", "importlib",
    }


def _imported_names(file: Path) -> set[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        # Running the file says what is wrong with it, with its line.
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _neighbour(folder: Path, name: str) -> Path | None:
    for candidate in (folder / f"{name}.py", folder / name / "__init__.py"):
        if candidate.is_file():
            return candidate.resolve()
    return None
