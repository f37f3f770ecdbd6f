"""A measurement does not outlive the process that asked for it."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pytest

from inversesr.errors import OUT_OF_MEMORY, InputError
from inversesr.workflows.worker import failure_of

PARENT = """
import os, time
from inversesr.workflows.worker import new_process
if __name__ == "__main__":
    with new_process() as process:
        print(process.submit(os.getpid).result(), flush=True)
        process.submit(time.sleep, 600).result()
"""


@pytest.mark.skipif(os.name != "posix", reason="kills with a POSIX signal")
def test_child_ends_with_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    deadline = time.monotonic() + 20.0
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    ended = not is_running(child)
    if not ended:
        os.kill(child, signal.SIGKILL)
    assert ended


def is_running(pid):
    """Whether a process is there and no zombie."""
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()[:1] not in ("", "Z")


def test_where_nothing_went_wrong_there_is_no_sentence():
    future = Future()
    future.set_result(7)
    assert failure_of(future) == ""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("no such prior"), "no such prior"),
        (ValueError("a bug\nwith details"), "ValueError: a bug"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), OUT_OF_MEMORY),
        (MemoryError(), OUT_OF_MEMORY),
        (BrokenProcessPool(), "the process was killed, as happens where memory runs out"),
    ],
)
def test_what_went_wrong_becomes_one_sentence(error, sentence):
    future = Future()
    future.set_exception(error)
    assert failure_of(future) == sentence
