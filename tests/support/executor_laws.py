"""The laws that every executor obeys; work is done in processes that import this module."""

import os
import signal
import time
from functools import partial
from multiprocessing import active_children, parent_process
from threading import Event, Thread

import numpy as np

from inversesr.errors import InputError
from inversesr.workflows.executors.protocol import Conditions


def work(folder, scan):
    """Write a file beside the others, or fail as the name of the scan says."""
    if scan.name == "unusable":
        raise InputError("the scan is no scan")  # noqa: EM101
    if scan.name == "broken":
        raise ValueError("a fault")  # noqa: EM101
    if scan.name == "slow":
        time.sleep(120)
    if scan.name == "large":
        kept = np.ones(2**27, dtype=np.float32)
        time.sleep(120)
        del kept
    with (folder / "begun").open("a") as file:
        file.write(f"{scan.name}\n")
    has_failed = (folder / f"{scan.name}.failed").exists()
    if scan.name == "poison" or (scan.name == "unlucky" and not has_failed):
        (folder / f"{scan.name}.failed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if scan.name == "deadly":
        os.kill(parent_process().pid, signal.SIGKILL)
        time.sleep(120)
    (folder / scan.name).write_text("done")


def slept(folder, seconds, scan):
    """Take a while, and write a file; `poison` ends its process."""
    time.sleep(seconds)
    if scan.name == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / scan.name).write_text("done")


def check_executor(execute, folder, settings=None):
    """Check that all is done, several at a time, and that failures are told apart.

    Args:
        execute: The executor.
        folder: A folder that all processes can reach.
        settings: Settings of the executor.
    """
    scans = [folder / "scans" / name for name in ("first", "unusable", "broken", "second")]
    conditions = Conditions(2, settings=settings or {}, folder=folder / "of the executor")
    found = list(execute(partial(work, folder), scans, conditions))
    check_ended(folder, found, scans)
    assert list(execute(partial(work, folder), [], conditions)) == []


def check_ended(folder, found, scans):
    """Check what the scans of `check_executor` have ended with; return name -> failure."""
    ended = {scan.name: failure for scan, failure in found}
    assert sorted(scan for scan, _ in found) == sorted(scans)
    for name in ("first", "second"):
        assert ended[name] is None
        assert (folder / name).read_text() == "done"
    assert ended["unusable"].sentence == "the scan is no scan"
    assert ended["unusable"].is_unusable
    assert "a fault" in ended["broken"].sentence
    assert not ended["broken"].is_unusable
    return ended


def check_tries(execute, folder, settings=None):
    """Check, with the laws above, that killed work is tried again, and how often.

    Only executors whose work has a process of its own obey.
    """
    names = ("first", "unusable", "broken", "unlucky", "poison", "second")
    scans = [folder / "scans" / name for name in names]
    conditions = Conditions(2, settings=settings or {}, folder=folder / "of the executor")
    found = list(execute(partial(work, folder), scans, conditions))
    ended = check_ended(folder, found, scans)
    assert ended["unlucky"] is None
    assert (folder / "unlucky").read_text() == "done"
    assert "killed" in ended["poison"].sentence
    assert "set aside after 3 tries" in ended["poison"].sentence
    assert (folder / "begun").read_text().count("poison") == 3
    assert list(execute(partial(work, folder), [], conditions)) == []


def check_kills(execute, folder):
    """Check that work is done once though its processes are killed again and again.

    Only executors whose processes are children of this one obey.
    """
    scans = [folder / "scans" / f"{n}" for n in range(12)] + [folder / "scans" / "poison"]
    conditions = Conditions(4, tries=40, folder=folder / "own")
    stop, killed = Event(), []
    killer = Thread(target=kill_children, args=(stop, killed))
    found = []
    try:
        for scan, failure in execute(partial(slept, folder, 0.05), scans, conditions):
            found.append((scan, failure))
            if len(found) == 1:
                killer.start()
    finally:
        stop.set()
        killer.join()
    assert killed
    check_done(folder, found, scans)


def kill_children(stop, killed):
    """Kill the youngest child of this process ten times a second."""
    while not stop.wait(0.1):
        for child in active_children()[-1:]:
            child.kill()
            killed.append(child)


def check_done(folder, found, scans):
    """Check that scans were told once and done, but for `poison`, which is set aside."""
    assert sorted(scan for scan, _ in found) == sorted(scans)
    failed = {scan.name: failure for scan, failure in found if failure is not None}
    poison = failed.pop("poison", None)
    assert poison is None or "set aside after 40 tries" in poison.sentence
    assert failed == {}
    done = [scan.name for scan in scans if scan.name != "poison"]
    assert all((folder / name).read_text() == "done" for name in done)


def check_limits(execute, folder, settings=None):
    """Check that a scan that takes too long, or needs too much memory, is ended and named."""
    own, limit_bytes = folder / "of the executor", 400 * 2**20
    limits = {
        "slow": (Conditions(2, 1.5, None, 3, settings or {}, own), "0.025 min that --time-limit"),
        "large": (Conditions(2, None, limit_bytes, 3, settings or {}, own), "than the 0.4 GiB of"),
    }
    for name, (conditions, words) in limits.items():
        scans = [folder / "scans" / name, folder / "scans" / "first"]
        found = execute(partial(work, folder), scans, conditions)
        ended = {scan.name: failure for scan, failure in found}
        assert ended["first"] is None
        assert words in ended[name].sentence
        assert not ended[name].is_killed
        assert not (folder / name).exists()
