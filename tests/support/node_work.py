"""What processes of a node do in tests, instead of restoring a series."""

import os
import signal
import subprocess
import time

from inversesr.node.child import OUTCOME, Outcome
from inversesr.node.folder import write_whole


def leave(results, outcome):
    """Write an outcome."""
    import json
    from dataclasses import asdict

    results.mkdir(parents=True, exist_ok=True)
    write_whole(results / OUTCOME, json.dumps(asdict(outcome)).encode())


def make(_queue, results, _config, instances):
    """Leave a result of one file."""
    results.mkdir(parents=True)
    (results / "1.dcm").write_text(instances.name)
    leave(results, Outcome("made", files=("1.dcm",)))


def refuse(_queue, results, _config, _instances):
    """Find no scan."""
    leave(results, Outcome("unusable", "series 4 is a scout"))


def lack(_queue, results, _config, _instances):
    """Find a full disk."""
    leave(results, Outcome("machine", "No space left on device"))


def die(_queue, _results, _config, _instances):
    """End as where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def leave_early(_queue, _results, _config, _instances):
    """End without a word."""
    os._exit(3)


def sleep(_queue, _results, _config, instances):
    """Never end, nor what was started."""
    other = subprocess.Popen(["sleep", "600"])
    (instances.parent / "started").write_text(str(other.pid))
    time.sleep(600)


def hoard(_queue, _results, _config, _instances):
    """Take more and more memory."""
    kept = []
    while True:
        kept.append(b"x" * (50 << 20))
        time.sleep(0.05)
