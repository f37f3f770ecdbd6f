"""The laws that every executor obeys; work is done in processes that import this module."""

import time
from functools import partial

from inversesr.errors import InputError


def work(folder, scan):
    """Write a file beside the others, or fail as the name of the scan says."""
    if scan.name == "unusable":
        raise InputError("the scan is no scan")  # noqa: EM101
    if scan.name == "broken":
        raise ValueError("a fault")  # noqa: EM101
    if scan.name == "slow":
        time.sleep(120)
    (folder / scan.name).write_text("done")


def check_executor(execute, folder):
    """Check that all is done, several at a time, and that failures are told apart.

    Args:
        execute: The executor.
        folder: A folder that all processes can reach.
    """
    scans = [folder / "scans" / name for name in ("first", "unusable", "broken", "second")]
    ended = dict(execute(partial(work, folder), scans, 2))
    assert set(ended) == set(scans)
    for scan in (scans[0], scans[3]):
        assert ended[scan] is None
        assert (folder / scan.name).read_text() == "done"
    assert ended[scans[1]].sentence == "the scan is no scan"
    assert ended[scans[1]].is_unusable
    assert "a fault" in ended[scans[2]].sentence
    assert not ended[scans[2]].is_unusable
    assert list(execute(partial(work, folder), [], 2)) == []
