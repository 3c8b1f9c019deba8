"""The faults of the user's own code: what raises, hangs, crashes, takes all, or meddles."""

from __future__ import annotations

import signal

from benchmarks.faults.case import Case, forward, loader

# The first steps take three or four forward passes; this one is in one of the first probes.
_LATER = 12
_ONCE = f"if is_time({_LATER}): "
_BOOM = "raise ValueError('boom')"
# Takes a lock twice, in C code that no signal interrupts.
_IN_C = ("import ctypes; lock = ctypes.create_string_buffer(64); "
         "take = ctypes.CDLL(None).pthread_mutex_lock; take(lock); take(lock)")

RAISES = (
    Case("raises at import", _BOOM, 3, "ValueError: boom"),
    Case("syntax error", "def f(:\n    pass", 3, "SyntaxError"),
    Case("calls sys.exit at import", "sys.exit(5)", 3, "ended the program"),
    Case("raises in construction", f"def build_model(): {_BOOM}", 3, "ValueError: boom"),
    Case("raises in forward", forward(_BOOM), 3, "ValueError: boom"),
    Case("raises in forward, later", forward(_ONCE + _BOOM), 0, "ValueError: boom", 4),
    Case("calls sys.exit in forward, later", forward(_ONCE + "sys.exit(5)"), 0,
         "ended the program", 4),
    Case("raises its own BaseException in forward, later",
         "class Stop(BaseException): pass\n" + forward(_ONCE + "raise Stop('boom')"), 0,
         "Stop: boom", 4),
    Case("raises in backward, later", """
        class Through(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x): return x.clone()
            @staticmethod
            def backward(ctx, grad):
                if os.path.getsize(COUNT) > 8: raise ValueError('boom')
                return grad
        class Bad(Net):
            def forward(self, x):
                is_time(0)
                return Through.apply(super().forward(x))
        build_model = Bad
        """, 0, "ValueError: boom", 4),
    Case("raises in the loss", f"def loss_fn(output, target): {_BOOM}", 3, "ValueError: boom"),
    Case("raises in the optimizer step, later", f"""
        class Bad(torch.optim.SGD):
            def step(self, closure=None):
                if is_time(6): {_BOOM}
                return super().step(closure)
        def optimizer(model): return Bad(model.parameters(), lr=1e-2)
        """, 0, "ValueError: boom", 4, arguments=("--select", "dying-relu")),
    Case("loader raises in the first batch", loader(_BOOM), 3, "ValueError: boom"),
    Case("loader raises in a middle batch", loader("if index == 140: " + _BOOM), 0,
         "ValueError: boom", 3),
    Case("loader raises in the last batch", loader("if index == 255: " + _BOOM), 0,
         "ValueError: boom", 3),
    Case("loader raises in a worker process", loader("if index == 140: " + _BOOM, 1), 0,
         "ValueError: boom", 3),
)

HANGS = (
    Case("hangs at import", "time.sleep(10000)", 3, "does not come to its end"),
    Case("hangs at import, in C code", _IN_C, 3, "hung at net.py", 0),
    Case("hangs in forward, later", forward(_ONCE + "time.sleep(10000)"), 0,
         "did not end within", 4),
    Case("hangs in forward, in C code, later", forward(_ONCE + _IN_C), 3, "hung at net.py", 1),
    Case("hangs in the loader", loader("time.sleep(10000)"), 3, "did not end within"),
    Case("hangs in the loader, middle batch", loader("if index == 140: time.sleep(10000)"), 0,
         "did not end within", 3),
    Case("ignores signals and hangs, later", forward(f"""
        if is_time({_LATER}):
            for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: None)
            while True:
                time.sleep(1)
        """), 3, "hung at net.py", 1),
)

CRASHES = (
    Case("os._exit at import", "os._exit(0)", 3, "ended the process itself (exit code 0)", 0),
    Case("os._exit in forward, later", forward(_ONCE + "os._exit(7)"), 3,
         "ended the process itself (exit code 7)", 1),
    Case("SIGKILL to itself at import", "os.kill(os.getpid(), signal.SIGKILL)", 3, "SIGKILL", 0),
    Case("SIGKILL in forward, later", forward(_ONCE + "os.kill(os.getpid(), signal.SIGKILL)"),
         3, "was killed (SIGKILL", 1),
    Case("segmentation fault in forward, later",
         forward(_ONCE + "import ctypes; ctypes.string_at(0)"), 3,
         "crashed (SIGSEGV) at net.py", 1),
    Case("abort in forward, later", forward(_ONCE + "os.abort()"), 3,
         "crashed (SIGABRT) at net.py", 1),
    Case("worker process of the loader is killed",
         loader("if index == 140: os.kill(os.getpid(), signal.SIGKILL)", 1), 0,
         "exited unexpectedly", 2),
    Case("the process is killed beside a finding, later",
         "x[3, 0] = float('nan')\n" + forward(_ONCE + "os.kill(os.getpid(), signal.SIGKILL)"), 1,
         "was killed (SIGKILL", 1),
)

GREEDY = (
    Case("asks for a terabyte in forward, later",
         forward(_ONCE + "torch.empty(1 << 38, dtype=torch.float64)"), 0, "allocate", 4),
    Case("eats memory up to its limit, later", forward(f"""
        if is_time({_LATER}):
            import resource
            with open("/proc/self/statm") as file:
                used = int(file.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20), -1))
            kept = []
            while True:
                kept.append(bytearray(1 << 20))
        """), 0, "MemoryError", 4),
    Case("prints two gigabytes, later", forward(f"""
        if is_time({_LATER}):
            for _ in range(2048):
                print("x" * (1 << 20))
        """), 0, "the rest is not shown", 4),
    Case("prints two gigabytes past Python, at import", """
        for _ in range(2048):
            os.write(1, b"x" * (1 << 20))
        """, 0, "the rest is not shown", 6),
    Case("may write no file of more than 4 KiB", """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        """, 0, "", 6),
)

MEDDLES = (
    Case("forks, and the child goes on, later", forward(_ONCE + "os.fork()"), 0, "", 6),
    Case("forks a child that stays, at import", """
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        """, 0, "", 6),
    Case("closes all descriptors, at import", "os.closerange(3, 1000)", 0, "", 6),
    Case("changes the handlers of signals", """
        for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        """, 0, "", 6),
    Case("leaves a thread that never ends", """
        import threading
        threading.Thread(target=time.sleep, args=(10000,)).start()
        """, 0, "", 6),
    Case("never comes back from atexit", """
        import atexit
        atexit.register(time.sleep, 10000)
        """, 0, "", 6),
)

# So that the signal comes in time on a fast machine, too.
SLOWLY = forward("time.sleep(0.05)")
OUTSIDE = (
    Case("Ctrl-C while it is loaded", "time.sleep(5)", 130, "interrupted", 0,
         signal=signal.SIGINT, after="loading"),
    Case("Ctrl-C during a probe", SLOWLY, 130, "interrupted", 1, signal=signal.SIGINT,
         after="[3/"),
    Case("Ctrl-C that the target swallows", forward(f"""
        if is_time({_LATER}):
            signal.signal(signal.SIGINT, lambda *_: None)
            print("swallows", flush=True)
            for _ in range(10000):
                time.sleep(1)
        """), 130, "interrupted", 1, signal=signal.SIGINT, after="swallows"),
    Case("SIGTERM during a probe", SLOWLY, 130, "interrupted", 1, signal=signal.SIGTERM,
         after="[3/"),
    Case("kill -9 of the worker", SLOWLY, 3, "SIGKILL", 1,
         signal=-signal.SIGKILL, after="[3/"),
    Case("disk full: no report can be written", "", 2, "cannot be written",
         arguments=("-o", "report.html"), shell="ulimit -f 16; "),
    Case("folder that cannot be written", "", 2, "cannot be written",
         arguments=("-o", "/proc/report.html")),
    Case("standard output is full", "", 2, "cannot be printed", None, shell=">/dev/full "),
)

CASES = (*RAISES, *HANGS, *CRASHES, *GREEDY, *MEDDLES, *OUTSIDE)
