"""Runs the peers on the members that come in by standard input, in the peers' environment.

Each line in is `name<TAB>file`; each line out is the JSON of one member and one tool:
{"member", "tool", "kinds", "seconds", "problem"}. Every pair runs in a process of its own, forked
from one that has loaded torch already.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings

from auditor.loading import load

from ..digits import read_once
from .tools import TOOLS


def main() -> None:
    """Answer every line of the input."""
    seconds = int(sys.argv[1])
    read_once()
    for line in sys.stdin:
        name, file = line.rstrip("\n").split("\t")
        for tool in TOOLS:
            reading, writing = os.pipe()
            if not os.fork():
                os.close(reading)
                # A tool may write past `sys.stdout`, into the lines of the answers.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                signal.alarm(seconds)
                os.write(writing, json.dumps(answer(name, file, tool)).encode())
                os._exit(0)
            os.close(writing)
            with os.fdopen(reading, encoding="utf-8") as pipe:
                text = pipe.read()
            os.wait()
            late = {"member": name, "tool": tool, "kinds": [], "seconds": seconds,
                    "problem": "it did not end"}
            print(text or json.dumps(late), flush=True)


def answer(name: str, file: str, tool: str) -> dict[str, object]:
    """Run one tool on one file; what goes wrong is part of the answer."""
    warnings.simplefilter("ignore")
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (until the process ends)
    begin, kinds, problem = time.process_time(), set(), ""
    try:
        target = load(file)
        with target.surroundings():
            kinds = TOOLS[tool](target)
    except Exception as error:  # of the tool or the file; the benchmark goes on, and counts it
        problem = f"{type(error).__name__}: {error}"[:300]
    return {"member": name, "tool": tool, "kinds": sorted(kinds), "problem": problem,
            "seconds": round(time.process_time() - begin, 2)}


if __name__ == "__main__":
    import numpy.random  # noqa: F401 (loaded once, before the first fork)
    import sklearn.datasets  # noqa: F401
    import torch

    torch.set_num_threads(1)
    main()
