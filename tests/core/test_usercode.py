"""What the user's code raises becomes a message that quotes their own line."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from auditor.errors import ConfigError, TargetError, TargetTimeout
from auditor.usercode import frame_of, is_users, shown_path, user_code

MANY_SECONDS = 5.0


def made(tmp_path: Path, body: str) -> Callable[[], Any]:
    """Return a function `f` that stands in a file of the user's."""
    file = tmp_path / "mine.py"
    file.write_text("import time, json\ndef f():\n" + body, encoding="utf-8")
    values: dict[str, Any] = {}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), values)
    return values["f"]  # type: ignore[no-any-return]


def test_the_innermost_line_of_the_users_is_quoted(tmp_path: Path) -> None:
    f = made(tmp_path, "    return json.loads('{nothing}')\n")

    with pytest.raises(TargetError) as caught, user_code("reading the labels"):
        f()

    assert caught.value.message.startswith("Reading the labels failed: JSONDecodeError: ")
    assert "mine.py:3" in caught.value.where and "json.loads('{nothing}')" in caught.value.where
    assert caught.value.__cause__ is not None


def test_an_error_without_a_line_of_the_users_has_no_place() -> None:
    with pytest.raises(TargetError) as caught, user_code("building"):
        nn.Linear("two", 2)  # type: ignore[arg-type]

    assert "test_usercode.py" in caught.value.where
    assert frame_of(None) == ""


def test_an_exception_without_words_has_no_stray_colon() -> None:
    with pytest.raises(TargetError) as caught, user_code("building"):
        raise AssertionError

    assert caught.value.message == "Building failed: AssertionError"


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), TargetError("mine"), ConfigError("x")])
def test_interrupts_and_our_own_errors_pass_unchanged(problem: BaseException) -> None:
    with pytest.raises(type(problem)) as caught, user_code("building"):
        raise problem

    assert caught.value is problem


def test_an_exit_is_an_error_that_names_the_guard() -> None:
    with pytest.raises(TargetError, match=r"sys\.exit\(3\)") as caught, user_code("building"):
        raise SystemExit(3)

    assert "__main__" in caught.value.hint


def test_code_that_hangs_is_stopped_at_its_line(tmp_path: Path) -> None:
    f = made(tmp_path, "    time.sleep(60)\n")

    with pytest.raises(TargetTimeout) as caught, user_code("sleeping", seconds=0.2):
        f()

    assert "mine.py:3" in caught.value.where and "time.sleep(60)" in caught.value.where


def test_no_handler_of_the_users_swallows_the_alarm(tmp_path: Path) -> None:
    f = made(tmp_path, """
    for _ in range(100):
        try:
            time.sleep(60)
        except Exception:
            pass
""")

    with pytest.raises(TargetTimeout), user_code("sleeping", seconds=0.2):
        f()


def test_a_bare_except_only_delays_the_alarm(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.usercode._RING_AGAIN_SECONDS", 0.1)
    f = made(tmp_path, """
    try:
        time.sleep(60)
    except:
        time.sleep(60)
""")

    with pytest.raises(TargetTimeout), user_code("sleeping", seconds=0.1):
        f()


def test_the_shorter_of_two_limits_holds() -> None:
    begin = time.monotonic()

    with pytest.raises(TargetTimeout, match="Inner"), user_code("outer", seconds=30), \
            user_code("inner", seconds=0.2):
        time.sleep(60)
    with pytest.raises(TargetTimeout, match="Outer"), user_code("outer", seconds=0.2), \
            user_code("inner", seconds=30):
        time.sleep(60)

    assert time.monotonic() - begin < MANY_SECONDS


def test_the_outer_limit_goes_on_after_the_inner_one() -> None:
    with pytest.raises(TargetTimeout, match="Outer"), user_code("outer", seconds=0.4):
        with user_code("inner", seconds=0.2):
            time.sleep(0.1)
        time.sleep(60)


def test_no_alarm_is_left_behind() -> None:
    before = signal.getsignal(signal.SIGALRM)

    with user_code("building", seconds=30):
        pass

    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_other_threads_have_no_limit() -> None:
    ended = []

    def run() -> None:
        with user_code("sleeping", seconds=0.05):
            time.sleep(0.2)
        ended.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert ended == [True]


def test_files_are_told_apart() -> None:
    import torch

    import auditor.usercode

    assert is_users(__file__) and is_users("/home/somebody/model.py")
    borrowed = "/opt/other/lib/python3.11/site-packages/numpy/__init__.py"
    for library in (torch.__file__, threading.__file__, auditor.usercode.__file__, "<string>",
                    borrowed):
        assert not is_users(library)


def test_paths_are_shown_as_the_user_would_write_them(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert shown_path(str(tmp_path / "nets" / "model.py")) == str(Path("nets") / "model.py")
    assert shown_path("/elsewhere/model.py") == "/elsewhere/model.py"
