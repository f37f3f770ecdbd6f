"""Work and its conditions as a file, for processes that another program starts.

Such a process may run on another machine, so the file lies in a folder that all can reach. It is
unpickled: only this user may write into that folder, and only its own batch does.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from inversesr.workflows.executors.protocol import Conditions
from inversesr.workflows.worker import module_of

Work = Callable[[Path], None]
WORK_NAME = "work.pickle"
ONLY_ME = 0o700


@dataclass(frozen=True)
class WorkInFile:
    """Work that is read where it is done: what hands it on need not load its libraries.

    Attributes:
        file: What `write_work` wrote.
        written_ns: When, so that it is read anew where it has changed.
        module: Name of the module that the work is in.
    """

    file: Path
    written_ns: int
    module: str

    def __call__(self, scan: Path) -> None:
        """Do the work on a scan."""
        _read(self.file, self.written_ns)(scan)


def write_work(folder: Path, work: Work, conditions: Conditions) -> Path:
    """Write what is to be done into a folder, made if need be, that is closed to others."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(ONLY_ME)
    file = folder / WORK_NAME
    partial = file.with_suffix(".partial")
    partial.write_bytes(pickle.dumps((module_of(work), conditions, pickle.dumps(work))))
    partial.replace(file)
    return file


def read_work(file: Path) -> tuple[WorkInFile, Conditions]:
    """Return what is to be done; a process that does it for many scans reads it once."""
    written_ns = file.stat().st_mtime_ns
    module, conditions, _ = _parts(file, written_ns)
    return WorkInFile(file, written_ns, module), conditions


@lru_cache(maxsize=8)
def _parts(file: Path, _written_ns: int) -> tuple[str, Conditions, bytes]:
    module, conditions, work = pickle.loads(file.read_bytes())  # noqa: S301 (see the module's words)
    return module, conditions, work


@lru_cache(maxsize=8)
def _read(file: Path, written_ns: int) -> Work:
    work: Work = pickle.loads(_parts(file, written_ns)[2])  # noqa: S301 (see the module's words)
    return work
