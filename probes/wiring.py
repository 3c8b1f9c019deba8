"""Whether every part of the model takes part in training, and whether the optimizer holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from auditor import batches
from auditor.graphreader import leaves_of
from auditor.isolation import seeded
from auditor.observation import Quantity
from auditor.probe import Cost, ProbeContext
from auditor.recorder import watching
from auditor.trial import STEP_SECONDS, Bench
from auditor.usercode import user_code

from ._dropped import Returned, alike
from ._flow import Flow, repeats
from ._modes import Modules, is_wrongly_in_eval
from ._structure import stack_entries, unregistered_modules
from ._zeroloss import stays_zero

# Passes until a parameter that seems unreached has had its chance: experts, dropped layers.
_LOOKS = 4
_LOOKS_FOR_IDLE_LAYERS = 3


@dataclass(slots=True)
class _Fate:
    """What became of one parameter over the passes.

    Attributes:
        with_gradient: Passes in which a gradient arrived.
        cut: Passes in which it took part, the loss was computed from it or looked past it, and no
            gradient arrived.
        dropped: Of these, passes in which what was computed with it did not leave the forward that
            called for it.
        by, place: The call that cut the graph.
    """

    with_gradient: int = 0
    cut: int = 0
    dropped: int = 0
    by: str = "something that cannot be seen"
    place: Any = None


class Wiring:
    """Runs a few training passes and follows gradients, modules and the optimizer's groups."""

    name: ClassVar[str] = "wiring"
    says: ClassVar[str] = "follows the gradient from the loss to every parameter and the optimizer"
    cost: ClassVar[Cost] = Cost(steps=4, minimum_steps=1, trains=True)
    after: ClassVar[tuple[str, ...]] = ()
    yields: ClassVar[tuple[Quantity, ...]] = (
        Quantity("cut_batches", "", "batches in which the parameter took part and the loss sent "
                 "it no gradient", "parameter"),
        Quantity("gradient_batches", "", "batches in which a gradient reached the parameter",
                 "parameter"),
        Quantity("cut_by", "", "the call at which the gradient ends", "parameter", "text"),
        Quantity("is_dropped", "", "what the parameter's layer puts out is not used in the forward "
                 "that calls it", "parameter", "flag"),
        Quantity("others_alike_learn", "", "the same layer of other blocks gets gradients: the "
                 "last block has one too many", "parameter", "flag"),
        Quantity("held_by_optimizer", "", "the optimizer holds the parameter", "parameter",
                 "flag"),
        Quantity("loss_is_zero", "", "the loss is exactly 0 and gives no gradient, batch after "
                 "batch", kind="flag"),
        Quantity("foreign_parameters", "", "tensors in the optimizer that are not the model's"),
        Quantity("unregistered_parameters", "", "parameters of a layer that runs and gets "
                 "gradients, and that neither the model nor the optimizer holds", "layer"),
        Quantity("shared_names", "", "names under which one stack holds and runs the same layer",
                 "layer"),
        Quantity("active_batches", "", "batches in which the layer ran", "layer"),
        Quantity("ran_in_eval_mode", "", "the layer ran in eval mode in a training pass of "
                 "trainable layers", "layer", "flag"),
    )

    def run(self, context: ProbeContext) -> None:
        """Measure, and write into the notebook."""
        with seeded(context.seed):
            bench = Bench(context.target)
            passes = _Passes(bench, context)
            passes.look_around()
            note = context.note
            _note_parameters(passes, context)
            _note_layers(passes, context)
            modes = passes.modules.in_eval
            if not modes:
                note.absent("the model has no batch normalisation and no dropout",
                            "ran_in_eval_mode")
            for path, in_eval in modes.items():
                wrong = in_eval and is_wrongly_in_eval(bench.model, path)
                note.measure("ran_in_eval_mode", wrong, path)


class _Passes:
    """A few watched training passes on one bench."""

    def __init__(self, bench: Bench, context: ProbeContext) -> None:
        self.bench = bench
        self.context = context
        self.modules = Modules()
        self.parameters = dict(bench.model.named_parameters())
        trainable = any(p.requires_grad for p in self.parameters.values())
        # Where nothing at all may train, everything is judged: no gradient can come.
        self.fates = {name: _Fate() for name, p in self.parameters.items()
                      if p.requires_grad or not trainable}
        self.active: dict[str, int] = {path: 0 for path, module in bench.model.named_modules()
                                       if any(True for _ in module.parameters(recurse=False))}
        self.returned = Returned(bench.model, self.parameters)
        self.shared = {entry.path: 1 for entry in stack_entries(bench.model)}
        self.hidden: dict[str, int] = {}
        # Passes in a row of which nothing was left in the loss; parameters that any pass used.
        self.zeros, self.used = 0, 0
        self.is_zero = False
        self._start = {name: float(p.detach().double().sum()) for name, p in
                       self.parameters.items()}

    def look_around(self) -> None:
        """Run passes until every parameter has got its gradient, or has had its chances."""
        stored = self.context.batches.train(_LOOKS)
        for look in range(_LOOKS):
            if look and self.context.seconds_left() < 3 * self.context.step_seconds:
                break
            self._look(stored[look % len(stored)])
            suspects = bool(self.zeros) or any(
                not fate.with_gradient for fate in self.fates.values() if fate.cut)
            idle = any(not count for count in self.active.values())
            if not (suspects or (idle and look + 1 < _LOOKS_FOR_IDLE_LAYERS)):
                break
            if suspects:
                # A zero-initialised branch opens with the first step.
                self.bench.step(batches.private(stored[look % len(stored)]))
                self.context.note.steps += 1
        if self.zeros == _LOOKS and stays_zero(self.bench, stored[0]):
            self._note_nothing()
            self.context.note.steps += 2

    def changed_without_gradient(self, name: str) -> bool:
        """Tell whether something else trains a parameter: moving averages of another one."""
        return float(self.parameters[name].detach().double().sum()) != self._start[name]

    def _look(self, batch: Any) -> None:
        bench = self.bench
        bench.optimizer.zero_grad(set_to_none=True)
        for parameter in self.parameters.values():
            parameter.grad = None
        flow = Flow(list(self.parameters.values()))
        with repeats(bench.model, flow, self.parameters) as repeated, \
                watching(bench.model, flow, self.modules, everything=True), \
                self.returned.watching(flow):
            loss = bench.loss(batches.private(batch)).loss
        reached = leaves_of(loss)
        self._note_activity(flow, reached)
        if loss.requires_grad:
            with user_code("running backward", seconds=STEP_SECONDS):
                loss.backward()  # type: ignore[no-untyped-call]
        self.context.note.steps += 1
        self._note_fates(flow, loss, reached)
        zero = loss.requires_grad and float(loss.detach()) == 0 and not any(
            _moves(p) for p in self.parameters.values())
        self.zeros = self.zeros + 1 if zero else 0
        self.used |= flow.used
        self.shared.update({path: max(self.shared.get(path, 1), n) for path, n in repeated.items()})
        self._note_hidden()

    def _note_activity(self, flow: Flow, reached: set[int]) -> None:
        bits = {name: 1 << index for index, name in enumerate(self.parameters)}
        for path, module in self.bench.model.named_modules():
            if path in self.active:
                used = any(id(p) in reached or flow.used & bits.get(f"{path}.{name}".lstrip("."), 0)
                           for name, p in module.named_parameters(recurse=False))
                self.active[path] += int(used or id(module) in self.modules.ran)

    def _note_nothing(self) -> None:
        """Count every parameter as cut off: the loss is zero, whatever the model puts out."""
        self.is_zero = True
        for index, name in enumerate(self.parameters):
            fate = self.fates.get(name)
            if fate is not None and not fate.cut and self.used >> index & 1:
                fate.cut, fate.with_gradient = self.zeros, 0
                fate.by = "the loss itself, which is exactly 0"

    def _note_fates(self, flow: Flow, loss: Tensor, reached: set[int]) -> None:
        behind = flow.of(loss)
        part = behind.values | flow.escaped.values
        # Objects and functions of other libraries may carry values where nobody follows them:
        # the graph of the loss then reaches parameters from which nothing was seen to come.
        lost = not flow.derives and any(
            id(p) in reached and not part >> index & 1
            for index, p in enumerate(self.parameters.values()))
        for index, (name, parameter) in enumerate(self.parameters.items()):
            fate = self.fates.get(name)
            bit = 1 << index
            if fate is None:
                continue
            takes_part = part & bit
            zero = not _moves(parameter)
            if parameter.grad is not None and not (zero and takes_part and not behind.live & bit):
                fate.with_gradient += 1
            elif takes_part:
                fate.cut += 1
                cut = flow.cut_before(loss, bit)
                if cut is not None:
                    fate.by, fate.place = cut.by, cut.place
                elif not parameter.requires_grad:
                    fate.by = "requires_grad=False"
            elif flow.blind and flow.used & bit:
                # A head that nobody reads is no fault, unless a loss looks past it.
                fate.cut += 1
                fate.by, fate.place = flow.blind[0].by, flow.blind[0].place
            elif lost and (cut := flow.cut_of(bit)) is not None:
                fate.cut += 1
                fate.by, fate.place = cut.by, cut.place
            elif flow.used & bit and (who := self.returned.dropped(name, part | flow.told)):
                fate.cut, fate.dropped = fate.cut + 1, fate.dropped + 1
                fate.by = _dropping(*who)

    def _note_hidden(self) -> None:
        held = _held(self.bench)
        for name, module in unregistered_modules(self.bench.model):
            if not any(id(part) in self.modules.ran for part in module.modules()):
                continue
            orphans = [p for p in module.parameters()
                       if p.requires_grad and p.grad is not None and id(p) not in held]
            if orphans:
                self.hidden[name] = sum(p.numel() for p in orphans)


def _moves(parameter: Tensor) -> bool:
    """Tell whether a gradient has come that is not all zero."""
    return parameter.grad is not None and bool(parameter.grad.any())


def _note_parameters(passes: _Passes, context: ProbeContext) -> None:
    note, held = context.note, _held(passes.bench)
    own = {id(p) for p in passes.parameters.values()}
    note.measure("foreign_parameters", len(held - own))
    note.measure("loss_is_zero", passes.is_zero)
    learning = {alike(name) for name, fate in passes.fates.items() if fate.with_gradient}
    for name, fate in passes.fates.items():
        alone = fate.cut and not fate.with_gradient and not passes.is_zero
        if alone and passes.changed_without_gradient(name):
            fate.cut = 0
        note.measure("cut_batches", fate.cut if not fate.with_gradient else 0, name)
        note.measure("gradient_batches", fate.with_gradient, name)
        dropped = bool(fate.cut) and fate.dropped == fate.cut and not fate.with_gradient
        note.measure("is_dropped", dropped, name)
        note.measure("others_alike_learn", dropped and alike(name) in learning, name)
        note.measure("held_by_optimizer", id(passes.parameters[name]) in held, name)
        if fate.cut and not fate.with_gradient:
            note.measure("cut_by", fate.by, name)
            if fate.place is not None:
                note.place(name, fate.place)
    if not passes.fates:
        note.absent("the model has no parameters", "cut_batches", "gradient_batches",
                    "is_dropped", "others_alike_learn", "held_by_optimizer")


def _dropping(layer: str, caller: str) -> str:
    return f"the forward of {caller or 'the model'}, which uses nothing of what {layer} puts out"


def _note_layers(passes: _Passes, context: ProbeContext) -> None:
    note = context.note
    for path, count in passes.shared.items():
        note.measure("shared_names", count, path)
    if not passes.shared:
        note.absent("the model has no Sequential, ModuleList or ModuleDict of layers",
                    "shared_names")
    for path, count in _outermost(passes.active, passes.bench.model).items():
        note.measure("active_batches", count, path)
        if count:
            note.measure("unregistered_parameters", 0, path)
    for name, count in passes.hidden.items():
        note.measure("unregistered_parameters", count, name)
    layers = {path: count for path, count in passes.active.items() if path}
    if passes.parameters and not layers:
        note.absent("all parameters are the model's own", "active_batches")
    if passes.parameters and not any(layers.values()) and not passes.hidden:
        note.absent("no layer with parameters ran", "unregistered_parameters")


def _outermost(active: dict[str, int], model: nn.Module) -> dict[str, int]:
    """Return the layers that ran, and for those that did not their outermost idle module."""
    found: dict[str, int] = {}
    for path, count in active.items():
        if not path:
            continue
        if not count:
            parts = path.split(".")
            for end in range(1, len(parts) + 1):
                prefix = ".".join(parts[:end])
                below = [n for p, n in active.items() if p == prefix or p.startswith(f"{prefix}.")]
                if not any(below):
                    path = prefix
                    break
        found[path] = count
    return found


def _held(bench: Bench) -> set[int]:
    return {id(p) for group in bench.optimizer.param_groups for p in group["params"]}
