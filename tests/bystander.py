"""A user's file that reaches everything through global names, and a reading of all of it."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# What the step does at each call besides training; each way to end adds its own line.
SOURCE = '''
import os, random, signal, sys, warnings
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

torch.manual_seed(7)

class Points(Dataset):
    """Counts what was asked of it, and draws its noise from a generator of its own."""
    def __init__(self):
        self.x = torch.randn(96, 6)
        self.y = (self.x[:, 0] > 0).long()
        self.asked = 0
        self.noise = torch.Generator().manual_seed(1)
        self.rng = np.random.default_rng(2)
    def __len__(self):
        return 96
    def __getitem__(self, i):
        self.asked += 1
        shift = 0.01 * torch.randn(6, generator=self.noise) + 0.01 * self.rng.random()
        return self.x[i] + shift.float(), self.y[i]

class Shuffled(RandomSampler):
    passes = 0
    def __iter__(self):
        self.passes += 1
        return super().__iter__()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 16)
        self.norm = nn.BatchNorm1d(16)
        self.drop = nn.Dropout(0.1)
        self.fc2 = nn.Linear(16, 2)
    def forward(self, x):
        return self.fc2(self.drop(torch.relu(self.norm(self.fc1(x)))))

model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
train_set = Points()
generator = torch.Generator().manual_seed(3)
sampler = Shuffled(train_set, generator=generator)
train_loader = DataLoader(train_set, batch_size=16, sampler=sampler, generator=generator)

# The user has trained a little, and left things as no default has them.
for x, y in [(train_set.x[:16], train_set.y[:16])] * 3:
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    scheduler.step()
model.norm.eval()
model.fc1.bias.requires_grad_(False)
model.fc1.weight.register_hook(lambda grad: grad)
model.register_forward_hook(lambda module, args, output: None)
model.fc2.register_full_backward_hook(lambda module, grad_in, grad_out: None)

calls = 0
HERE = os.getcwd()

def meddle():
    """Change what belongs to the process and to the user's own objects."""
    os.environ["BYSTANDER"] = "changed"
    os.environ.pop("BYSTANDER_KEPT", None)
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    sys.path.append("/nowhere")
    sys.argv.append("--nothing")
    sys.setrecursionlimit(sys.getrecursionlimit() + 100)
    warnings.simplefilter("ignore")
    random.seed(1); np.random.seed(1)
    np.seterr(all="ignore")
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_num_threads(2)
    torch.set_printoptions(precision=2)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    model.train()
    model.fc1.bias.requires_grad_(True)
    model.fc2.register_forward_hook(lambda module, args, output: None)
    F.cross_entropy(model(train_set.x[:16]), train_set.y[:16]).backward()
    optimizer.step()
    scheduler.step()

def training_step(net, batch):
    global calls
    calls += 1
    if calls % 25 == 2:
        meddle()
    END
    x, y = batch
    return F.cross_entropy(net(x), y)
'''


def readings() -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    """Return by name what is read of the process and of the names of a user's file."""
    return {
        "parameters": lambda mine: _tensors(mine["model"].named_parameters()),
        "buffers": lambda mine: _tensors(mine["model"].named_buffers()),
        "gradients": lambda mine: _tensors(
            (n, p.grad) for n, p in mine["model"].named_parameters() if p.grad is not None),
        "modes of modules": lambda mine: [m.training for m in mine["model"].modules()],
        "requires_grad": lambda mine: [p.requires_grad for p in mine["model"].parameters()],
        "hooks": lambda mine: _hooks(mine["model"]),
        "optimizer": lambda mine: _plain(mine["optimizer"].state_dict()),
        "scheduler": lambda mine: _plain(mine["scheduler"].state_dict()),
        "loader": lambda mine: _plain(vars(mine["train_loader"])),
        "sampler": lambda mine: (mine["sampler"].passes, _plain(mine["generator"].get_state())),
        "dataset": lambda mine: (
            mine["train_set"].asked, _plain(mine["train_set"].noise.get_state()),
            _plain(mine["train_set"].rng.bit_generator.state)),
        "random state of python": lambda mine: random.getstate(),
        "random state of numpy": lambda mine: _plain(np.random.get_state()),
        "random state of torch": lambda mine: _plain(torch.get_rng_state()),
        "random state of CUDA": lambda mine: _plain(
            torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []),  # type: ignore[no-untyped-call]
        "default dtype": lambda mine: torch.get_default_dtype(),
        "default device": lambda mine: torch.get_default_device(),
        "grad mode": lambda mine: (torch.is_grad_enabled(), torch.is_inference_mode_enabled(),
                                   torch.is_autocast_enabled("cpu"), torch.is_anomaly_enabled()),
        "deterministic flags": lambda mine: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled()),
        "cudnn flags": lambda mine: (
            torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32,
            torch.backends.cuda.matmul.allow_tf32, torch.get_float32_matmul_precision()),
        "threads": lambda mine: (
            torch.get_num_threads(), sorted(thread.name for thread in threading.enumerate())),
        "signal handlers": lambda mine: {
            number: signal.getsignal(number) for number in signal.valid_signals()},
        "environment": lambda mine: dict(os.environ),
        "working directory": lambda mine: os.getcwd(),
        "sys.path": lambda mine: (id(sys.path), list(sys.path)),
        "sys.argv": lambda mine: (id(sys.argv), list(sys.argv)),
        "interpreter": lambda mine: (
            sys.getrecursionlimit(), sys.stdout, sys.stderr, sys.excepthook, sys.gettrace(),
            sys.getprofile(), gc.isenabled(), sys.dont_write_bytecode),
        "warnings filters": lambda mine: (list(warnings.filters), warnings.showwarning),
        "settings of numpy and of printing": lambda mine: (
            np.geterr(), str(torch.tensor([1 / 3])), str(np.asarray([1 / 3]))),
        "hooks of all modules": lambda mine: [
            len(getattr(nn.modules.module, name)) for name in vars(nn.modules.module)
            if name.startswith("_global_") and name.endswith("hooks")],
        "modes of torch": lambda mine: (
            torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()),
        "names of modules": lambda mine: {
            name for name, module in sys.modules.items() if _lies_beside(module, mine)},
        "files": lambda mine: _files(Path(mine["HERE"])),
        "open files": lambda mine: _open_files(),
    }


def _tensors(named: Any) -> dict[str, Any]:
    return {name: _plain(tensor) for name, tensor in named}


def _hooks(model: nn.Module) -> list[Any]:
    """Return the hooks of every module and parameter, as objects."""
    of_modules = [list(value.items()) for module in model.modules()
                  for name, value in vars(module).items()
                  if name.endswith("hooks") and isinstance(value, dict)]
    return [of_modules, [list((p._backward_hooks or {}).values()) for p in model.parameters()]]


def _plain(value: Any) -> Any:
    """Return nested values that can be compared, tensors and arrays as bytes."""
    if isinstance(value, Tensor):
        return (str(value.dtype), tuple(value.shape), value.detach().numpy().tobytes())
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _lies_beside(module: object, mine: Mapping[str, Any]) -> bool:
    return str(getattr(module, "__file__", "")).startswith(mine["HERE"])


def _files(folder: Path) -> dict[str, Any]:
    return {str(path): (sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in sorted(folder.rglob("*")) if path.is_file()}


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
