"""Runs each peer on one target through its own documented use; gives the kinds of its alarms.

This file runs in the peers' environment. Notes and hints that a peer itself calls information are
left out.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from auditor import batches
from auditor.isolation import seeded
from auditor.target import Target
from auditor.trial import Bench

# Steps of the loop that the watching tools see, and samples of a batch for the others.
STEPS = 120


def torchtest2(target: Target) -> set[str]:
    """`check_model` on one batch; warnings count as alarms."""
    from torchtest2 import check_model

    with seeded(0):
        bench, batch = Bench(target), next(iter(target.make_train_loader()))
        parts = batches.split(batch)
        settings: dict[str, Any] = {"optimizer": bench.optimizer}
        inputs: Any = parts.kwargs or tuple(parts.args)
        if target.kind == "loss":
            settings.update(targets=parts.target, loss_fn=target.loss_fn)
        elif target.kind == "step":
            settings.update(forward_fn=lambda model, x, y: target.compute(model, batch).loss,
                            loss_fn=lambda output: output)
        report = check_model(bench.model, inputs, **settings)
    return {result.name for result in (*report.failures, *report.warnings)}


def torch_audit(target: Target) -> set[str]:
    """`autopatch` around a plain loop; warnings and errors count."""
    from torch_audit import autopatch

    with seeded(0):
        bench = Bench(target)
        auditor = autopatch(bench.model, optimizer=bench.optimizer, every_n_steps=10,
                            reporters=[], run_static=True, run_init=True)
        for _ in _training(bench):
            pass
        found = auditor.finish(report=False).findings
        auditor.unpatch()
    return {item.rule_id for item in found if item.severity.value != "INFO"}


def torchmortem(target: Target) -> set[str]:
    """`Autopsy` around a plain loop; warnings and critical findings count."""
    from torchmortem import Autopsy

    with seeded(0):
        bench = Bench(target)
        with Autopsy(bench.model, optimizer=bench.optimizer) as autopsy:
            for _, loss in _training(bench):
                autopsy.step(loss=loss)
    report = autopsy.get_report()
    return {item.detector for item in report.findings if item.severity.name != "INFO"}


def training_doctor(target: Target) -> set[str]:
    """`Doctor.log` in every step, with the gradient norm and the validation loss."""
    from training_doctor import Doctor

    doctor = Doctor()
    with seeded(0):
        bench = Bench(target)
        val = list(itertools.islice(target.make_val_loader(), 4)) if target.make_val_loader else []
        for step, loss in _training(bench):
            squares = [float(p.grad.square().sum()) for p in bench.model.parameters()
                       if p.grad is not None and not p.grad.is_sparse]
            metrics = {"loss": loss, "lr": bench.lr, "grad_norm": math.sqrt(sum(squares))}
            if val and step % 20 == 19:
                metrics["eval_loss"] = _evaluated(bench, val)
            doctor.log(step=step, **metrics)
    return {item.problem for item in doctor.diagnoses if item.severity.value != "info"}


def torchdiag(target: Target) -> set[str]:
    """`verify_step`, `check_gradients` and `check_dead_neurons` on one batch, read as printed.

    Raises:
        ValueError: The tool takes one input, one target and a loss function.
    """
    import torchdiag as tool

    with seeded(0):
        bench, batch = Bench(target), next(iter(target.make_train_loader()))
        parts = batches.split(batch)
        if target.kind != "loss" or len(parts.args) != 1 or parts.kwargs:
            raise ValueError("the tool takes one input, one target and a loss function")
        with contextlib.redirect_stdout(io.StringIO()) as said:
            tool.verify_step(bench.model, bench.optimizer, target.loss_fn, parts.args[0],
                             parts.target)
            tool.check_gradients(bench.model)
            tool.check_dead_neurons(bench.model, parts.args[0])
    text = said.getvalue()
    phrases = {"neurons dead": "dead neurons", "— vanishing": "vanishing",
               "— exploding": "exploding", "disconnected from graph": "disconnected",
               "not finite": "not finite", "FAILED": "failed", "not learning": "not learning"}
    return {kind for phrase, kind in phrases.items() if phrase in text}


TOOLS: Mapping[str, Callable[[Target], set[str]]] = {
    "torchtest2": torchtest2, "torch-audit": torch_audit, "torchmortem": torchmortem,
    "training-doctor": training_doctor, "torchdiag": torchdiag,
}


def _training(bench: Bench) -> Iterator[tuple[int, float]]:
    """Take steps as any loop does, and yield the number and the loss of each."""
    epochs = itertools.chain.from_iterable(
        bench.target.make_train_loader() for _ in itertools.count())
    for step, batch in enumerate(itertools.islice(epochs, STEPS)):
        loss = bench.step(batch)
        yield step, loss
        if not math.isfinite(loss):
            return


def _evaluated(bench: Bench, val: list[Any]) -> float:
    training = bench.model.training
    bench.model.eval()
    with torch.no_grad():
        losses = [float(bench.loss(batch).loss) for batch in val]
    bench.model.train(training)
    return sum(losses) / len(losses)
