"""Other tools that watch training steps, each as its own documentation shows it."""

from __future__ import annotations

import atexit
import importlib
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from .models import Training

# Import name -> name on the package index.
_PEERS = {
    "torch_audit": "torch-audit", "torchmortem": "torchmortem",
    "training_doctor": "training-doctor", "cockpit": "cockpit-for-pytorch",
}


def found() -> dict[str, Callable[[Training], Callable[[], None]]]:
    """Return, for each peer that is installed, what makes a watched step of a training."""
    starts = {"torch_audit": _torch_audit, "torchmortem": _torchmortem,
              "training_doctor": _training_doctor, "cockpit": _cockpit}
    return {_PEERS[name]: start for name, start in starts.items() if not _why_not(name)}


def started(make: Callable[[], Training]) -> tuple[dict[str, Callable[[], None]], dict[str, str]]:
    """Return watched steps by peer, and why a peer cannot watch this model.

    Args:
        make: Makes the training anew for each peer.
    """
    steps, faults = {}, {}
    for peer, start in found().items():
        try:
            step = start(make())
            step()
        except Exception as problem:
            # Whatever happens in another tool is a line of the table.
            faults[peer] = f"{type(problem).__name__}: {problem}"
        else:
            steps[peer] = step
    return steps, faults


def missing() -> dict[str, str]:
    """Return the peers that cannot be measured, and why."""
    return {label: why for name, label in _PEERS.items() if (why := _why_not(name))}


def _why_not(name: str) -> str:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as problem:
        return "not installed" if problem.name == name else f"needs {problem.name}"
    except ImportError as problem:
        return f"cannot be imported: {problem}"
    return ""


def _torch_audit(training: Training) -> Callable[[], None]:
    audit: Any = importlib.import_module("torch_audit")
    auditor = audit.autopatch(training.model, optimizer=training.optimizer, every_n_steps=1,
                              reporters=[], fail_level="FATAL")
    del auditor
    return _silent(training.step)


def _torchmortem(training: Training) -> Callable[[], None]:
    mortem: Any = importlib.import_module("torchmortem")
    autopsy = mortem.Autopsy(training.model, optimizer=training.optimizer)
    autopsy.__enter__()
    # Otherwise it takes the end of the program for a crash, and leaves a report in the folder.
    atexit.register(autopsy.detach)

    def step() -> None:
        training.optimizer.zero_grad()
        loss = training.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        training.optimizer.step()
        autopsy.step(loss=loss.item())

    return _silent(step)


def _training_doctor(training: Training) -> Callable[[], None]:
    """It sees the loss and the rate only."""
    doctor: Any = importlib.import_module("training_doctor").Doctor()
    taken = 0

    def step() -> None:
        nonlocal taken
        training.optimizer.zero_grad()
        loss = training.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        training.optimizer.step()
        doctor.log(step=taken, loss=loss.item(), lr=training.optimizer.param_groups[0]["lr"])
        taken += 1

    return _silent(step)


def _cockpit(training: Training) -> Callable[[], None]:
    cockpit: Any = importlib.import_module("cockpit")
    quantities: Any = importlib.import_module("cockpit.utils.configuration")
    extend: Any = importlib.import_module("backpack").extend
    model = extend(training.model)
    loss_fn = extend(importlib.import_module("torch.nn").CrossEntropyLoss())
    each = extend(importlib.import_module("torch.nn").CrossEntropyLoss(reduction="none"))
    watch = cockpit.Cockpit(model.parameters(), quantities=quantities.configuration("economy"))
    taken = 0

    def step() -> None:
        nonlocal taken
        training.optimizer.zero_grad()
        outputs = model(training.x)
        loss = loss_fn(outputs, training.y)
        with watch(taken, info={
                "batch_size": len(training.x), "individual_losses": each(outputs, training.y),
                "loss": loss, "optimizer": training.optimizer}):
            loss.backward(create_graph=watch.create_graph(taken))
        training.optimizer.step()
        taken += 1

    return _silent(step)


def _silent(step: Callable[[], None]) -> Callable[[], None]:
    def quiet() -> None:
        with redirect_stdout(StringIO()):
            step()

    return quiet
