"""Work and its conditions as a file, for processes that another program starts.

Such a process may run on another machine, so the file lies in a folder that all can reach. It is
unpickled: only this user may write into that folder, and only its own batch does.
"""

import pickle
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from inversesr.workflows.executors.protocol import Conditions

Work = Callable[[Path], None]
WORK_NAME = "work.pickle"
ONLY_ME = 0o700


def write_work(folder: Path, work: Work, conditions: Conditions) -> Path:
    """Write what is to be done into a folder, made if need be, that is closed to others."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(ONLY_ME)
    file = folder / WORK_NAME
    partial = file.with_suffix(".partial")
    partial.write_bytes(pickle.dumps((work, conditions)))
    partial.replace(file)
    return file


@lru_cache(maxsize=8)
def read_work(file: Path, _written_ns: int) -> tuple[Work, Conditions]:
    """Read what is to be done; a process that does it for many scans reads it once.

    Args:
        file: What `write_work` wrote.
        _written_ns: When, so that it is read anew where it has changed.
    """
    work, conditions = pickle.loads(file.read_bytes())  # noqa: S301 (see the module's words)
    return work, conditions
