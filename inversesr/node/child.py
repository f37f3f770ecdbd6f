"""What a process of its own does with one series: restore it, and leave word of what came of it.

The last file that is written is the outcome. A result with an outcome is whole, and on the disk.
"""

import json
import os
import tempfile
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from inversesr.config import Config
from inversesr.errors import AccessError, InputError, InverseSRError, MachineError, machine_fault
from inversesr.node.folder import SCRATCH, can_write, sync_all, write_whole

OUTCOME = "outcome.json"
# The kernel, where memory runs out, ends this process before the node.
FIRST_TO_END = 1000


@dataclass(frozen=True)
class Outcome:
    """What came of a work.

    Attributes:
        kind: "made", "unusable" (no scan to restore), "machine" (try again) or "fault".
        reason: Why there is no result.
        files: DICOM files of the result, relative to its folder.
    """

    kind: str
    reason: str = ""
    files: tuple[str, ...] = field(default_factory=tuple)


def main(queue: Path, results: Path, config: Config, instances: Path) -> None:
    """Restore a series, in a process that does nothing else.

    Args:
        queue: Folder of the queue.
        results: Folder of its results; made if need be.
        config: Choices of the run.
        instances: Folder of the series.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_END))
    # what libraries print names files and headers
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    tempfile.tempdir = str(queue / SCRATCH)
    outcome = attempt(instances, results, config)
    with suppress(OSError):
        write_whole(results / OUTCOME, json.dumps(asdict(outcome)).encode())


def check_run(config: Config) -> None:
    """Refuse choices of a run that its solver would not heed; what tells that is slow to load.

    Raises:
        InputError: there is such a choice.
    """
    from inversesr.workflows.refusals import refuse_ignored

    refuse_ignored(config)


def attempt(instances: Path, results: Path, config: Config) -> Outcome:
    """Restore a series, and return what came of it, whatever that is."""
    from inversesr.workflows.executors.protocol import failure_from

    future: Future[None] = Future()
    try:
        results.mkdir(parents=True, exist_ok=True)
        files = restore_series(instances, results, config)
    except Exception as error:  # noqa: BLE001 (told by another process)
        future.set_exception(error)
        failure = failure_from(future)
        # a disk that is full or read-only makes scans look unusable
        kind = _kind(error) if can_write(instances) and can_write(results.parent) else "machine"
        return Outcome(kind, failure.sentence if failure else "")
    return Outcome("made", files=tuple(str(file.relative_to(results)) for file in files))


def _kind(error: BaseException) -> str:
    if isinstance(error, InputError) and not isinstance(error, AccessError):
        return "unusable"
    is_told = isinstance(error, InverseSRError) and not isinstance(
        error, MachineError | AccessError
    )
    if isinstance(error, OSError | MachineError | AccessError):
        return "machine"
    return "machine" if not is_told and machine_fault(error) else "fault"


def restore_series(instances: Path, results: Path, config: Config) -> list[Path]:
    """Restore every scan of a series, and return the DICOM files of the results.

    Args:
        instances: Folder of the series: one scan, or several such as echoes.
        results: Folder of the results.
        config: Choices of the run.

    Raises:
        InputError: there is no scan in it that can be restored.
    """
    keys = _keys(instances)
    from inversesr.io.dicom.taking import KEY_MARK
    from inversesr.io.json_text import json_text
    from inversesr.workflows.run import run_job

    config = replace(config, dicom=True)
    files: list[Path] = []
    for n, key in enumerate(keys):
        part = results / str(n)
        result, outputs = run_job([instances / f"{KEY_MARK}{key}"], config, part, force=True)
        (part / "warnings.json").write_text(json_text(list(result.warnings)))
        record = json.loads(outputs.sidecar.read_text())
        for series in record["dicom_series"].values():
            files += sorted((part / series["folder"]).glob("*.dcm"))
    sync_all(results)
    return files


def _keys(instances: Path) -> list[str]:
    """Return the keys of the scans in a folder, those left out that cannot be restored.

    Raises:
        InputError: none can be.
    """
    from inversesr.io.atomic import scratch_folder
    from inversesr.io.dicom.choice import choose, scans_among
    from inversesr.io.dicom.files import read_place
    from inversesr.io.dicom.series import group

    with scratch_folder() as scratch:
        series = group(read_place(instances, scratch))
        scans = [one for one in scans_among(series) if not one.fault and not one.doubt]
        scans = scans or [choose(series, None, "it")]
    for one in scans:
        if one.layout is not None and one.layout.missing:
            # here they may be slices that never came: none is made up
            n = len(one.layout.missing)
            message = f"{one.label} lacks {n} of {n + len(one.instances)} slices: send it whole"
            raise InputError(message)
    return [one.key for one in scans]


def read_outcome(results: Path) -> Outcome | None:
    """Return what came of a work; None where it did not end."""
    try:
        told = json.loads((results / OUTCOME).read_bytes())
        return Outcome(told["kind"], told["reason"], tuple(told["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
