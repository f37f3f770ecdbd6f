"""A folder of scans, each restored in a process of its own; finished scans are skipped.

A scan that fails becomes a row and the others go on. An interrupted batch goes on where it
stopped when it is called again.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from inversesr.config import AUTOMATIC, Config
from inversesr.errors import InputError
from inversesr.io.atomic import check_folder_name, check_output, clear_partial, only_one
from inversesr.io.dicom.listing import series_below
from inversesr.io.json_text import json_text
from inversesr.priors.card import read_card
from inversesr.priors.store import find_prior
from inversesr.resources import usable_cores
from inversesr.solvers.options import check_settings
from inversesr.solvers.registry import find
from inversesr.workflows.batch_table import (
    DONE,
    FAILED,
    KEPT,
    REFUSED,
    TABLE_NAME,
    Entry,
    growing_table,
    told_by_record,
)
from inversesr.workflows.executors.protocol import (
    FOLDER_NAME,
    Conditions,
    Failure,
    executor_of,
)
from inversesr.workflows.outputs import Outputs, output_names
from inversesr.workflows.record import read_record
from inversesr.workflows.restore import choose_device
from inversesr.workflows.resume import is_done
from inversesr.workflows.run import run_job
from inversesr.workflows.scan_folder import DESCRIPTION_NAME, files_below, find_scans

# Results that BIDS has no place for: reports, tables, what the executor keeps.
NOT_OF_BIDS = ("*_report.html", "*.csv", "group.html", "logs/", "*_series/", f"{FOLDER_NAME}*")


@dataclass(frozen=True)
class Batch:
    """A folder of scans and what is to become of them.

    Attributes:
        folder: Where the scans are.
        output: Where results go, into the same folders as the scans, with a table of all.
        config: Choices of every run.
        patterns: Which scans; see `find_scans`.
        conditions: How many scans at a time, and limits of each.
        force: Whether results that are there are made anew.
        executor: Name of what carries out the work; see `executors.protocol`.
        shown: DICOM series -> by what its results are named; see `io.dicom.listing`.
        fused: Scan -> others that are fused with it, in its space.

    Raises:
        InputError: a choice is meant for one scan only, there is no such executor, a pattern is
            none, or the results would go into an image.
    """

    folder: Path
    output: Path
    config: Config
    patterns: Sequence[str] = ()
    conditions: Conditions = field(default_factory=Conditions)
    force: bool = False
    executor: str = "local"
    shown: Mapping[Path, Path] = field(default_factory=dict)
    fused: Mapping[Path, tuple[Path, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_folder_name(self.output)
        executor_of(self.executor)
        if any(not pattern or "**" in pattern for pattern in self.patterns):
            message = "a pattern is empty or has ** in it; expected how names end, as *_T2w.nii.gz"
            raise InputError(message)
        if self.config.protect is not None:
            message = "--protect is the mask of one scan: leave it out, or run that scan by itself"
            raise InputError(message)

    def outputs_of(self, scan: Path) -> Outputs:
        """Return where the results of one of the scans go."""
        place = scan.parent if scan in self.shown else scan
        named = self.shown.get(scan, scan)
        return output_names(named, self.output / place.relative_to(self.folder).parent)


def run_batch(
    batch: Batch, progress: Callable[[Entry, int, int], None] = lambda _entry, _done, _total: None
) -> list[Entry]:
    """Restore all scans of a folder.

    Args:
        batch: The folder, and how.
        progress: Called with each entry as it is done, their number so far and the total.

    Raises:
        InputError: there are no scans, or the results cannot be written.
    """
    check_choices(batch.config)
    series = _find_series(batch)
    scans = [*_find_images(batch, is_needed=not series), *series]
    table = batch.output / TABLE_NAME
    check_output([table], force=True)
    batch.output.mkdir(parents=True, exist_ok=True)
    batch = replace(batch, shown=series)
    done: dict[Path, Entry] = {}
    with only_one(batch.output, "another batch"), growing_table(table) as note:
        describe_dataset(batch.folder, batch.output)
        with closing(restored(batch, scans)) as ended:
            for scan, entry in ended:
                done[scan] = entry
                note(entry)
                progress(entry, len(done), len(scans))
    return [done[scan] for scan in scans]


def _find_images(batch: Batch, *, is_needed: bool) -> list[Path]:
    """Return the image files of a batch; none are needed where there are DICOM series."""
    try:
        images = find_scans(batch.folder, batch.patterns, batch.output)
    except InputError:
        if is_needed:
            raise
        return []
    return images if batch.config.series is None else []


def _find_series(batch: Batch) -> dict[Path, Path]:
    """Return the DICOM series of a batch, and by what their results are named.

    In a BIDS dataset there are none: it holds converted scans.
    """
    folder = batch.folder
    if not folder.is_dir() or (folder / DESCRIPTION_NAME).is_file():
        return {}
    files = sorted(
        file
        for file in files_below(folder, batch.output)
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    found = series_below(folder, files, batch.config.series)
    return {one.path: one.shown for one in found if _is_like(one.path, batch)}


def _is_like(scan: Path, batch: Batch) -> bool:
    """Whether a series, or its place, is called as the patterns of a batch want it."""
    name = scan.relative_to(batch.folder)
    patterns = batch.patterns
    return not patterns or any(name.match(p) or name.parent.match(p) for p in patterns)


def check_choices(config: Config) -> None:
    """Refuse what every scan would be refused for."""
    check_settings(config.settings)
    is_named = config.solver != AUTOMATIC
    choose_device(config.device)
    if not is_named or find(config.solver).has_prior:
        read_card(find_prior(config.prior))


def restored(batch: Batch, scans: Sequence[Path]) -> Generator[tuple[Path, Entry]]:
    """Restore scans of a batch; give each with its entry, in the order in which they are done."""
    batch = _with_threads(batch)
    first_of: dict[Path, Path] = {}
    waiting: dict[Path, Entry] = {}
    for scan in scans:
        outputs = batch.outputs_of(scan)
        first = first_of.setdefault(outputs.image, scan)
        entry = Entry(str(scan.relative_to(batch.folder)))
        if first is not scan:
            reason = f"its results would be named like those of {first.name}: rename one"
            yield scan, replace(entry, status=REFUSED, reason=reason)
        elif not batch.force and (kept := _kept(entry, scan, batch, KEPT)):
            yield scan, kept
        else:
            waiting[scan] = entry
    yield from _carried_out(batch, waiting)


def _with_threads(batch: Batch) -> Batch:
    """Divide the processor's cores among the scans of a batch that share them."""
    threads = batch.config.threads
    if threads is None and batch.executor == "local":
        share = max(1, usable_cores() // batch.conditions.n_jobs)
        threads = min(torch.get_num_threads(), share)
    return replace(batch, config=replace(batch.config, threads=threads))


def _carried_out(batch: Batch, waiting: Mapping[Path, Entry]) -> Generator[tuple[Path, Entry]]:
    """Have scans restored by the executor; give each with its entry as it has ended."""
    conditions = replace(batch.conditions, folder=_executor_folder(batch))
    execute = executor_of(batch.executor)
    try:
        # closed at once where the work is interrupted: processes must not go on
        with closing(execute(partial(_restore, batch), list(waiting), conditions)) as ended:
            for scan, failure in ended:
                yield scan, _ended(waiting[scan], scan, batch, failure)
    finally:
        for folder in {batch.outputs_of(scan).image.parent for scan in waiting}:
            clear_partial(folder)
        shutil.rmtree(conditions.folder, ignore_errors=True)


def _executor_folder(batch: Batch) -> Path:
    """Return where the executor keeps its files: two parts of a study have two folders."""
    part = hashlib.sha256(repr(sorted(batch.patterns)).encode()).hexdigest()[:8]
    return batch.output / f"{FOLDER_NAME}-{part}"


def _ended(entry: Entry, scan: Path, batch: Batch, failure: Failure | None) -> Entry:
    """Return the entry of a scan whose work has ended."""
    if failure is None:
        return told_by_record(entry, batch.outputs_of(scan), DONE)
    # a worker that was believed lost may have done it all the same
    if not batch.force and (done := _kept(entry, scan, batch, DONE)):
        return done
    status = REFUSED if failure.is_unusable else FAILED
    return replace(entry, status=status, reason=failure.sentence)


def _kept(entry: Entry, scan: Path, batch: Batch, status: str) -> Entry | None:
    """Return the entry of a scan that is done, else nothing."""
    outputs = batch.outputs_of(scan)
    try:
        is_there = is_done([scan, *batch.fused.get(scan, ())], outputs, batch.config)
        return told_by_record(entry, outputs, status) if is_there else None
    except (OSError, InputError, LookupError, TypeError, ValueError, AttributeError):
        # a record that is damaged or not ours: the run itself says what is in the way
        return None


def _restore(batch: Batch, scan: Path) -> None:
    """Restore a scan; what a worker did that was believed lost is not done again."""
    if not batch.force and _kept(Entry(str(scan)), scan, batch, DONE):
        return
    scans = [scan, *batch.fused.get(scan, ())]
    run_job(scans, batch.config, batch.outputs_of(scan).image.parent, force=batch.force)


def describe_dataset(folder: Path, output: Path) -> None:
    """Make the results of a BIDS dataset a derivative dataset."""
    source, target = folder / DESCRIPTION_NAME, output / DESCRIPTION_NAME
    if not source.is_file() or target.exists():
        return
    told = read_record(source)
    # relative, so that the two datasets can be moved together
    place = Path(os.path.relpath(folder.resolve(), output.resolve())).as_posix()
    description: dict[str, Any] = {
        "Name": f"{told.get('Name', folder.name)}: thin slices by inversesr",
        "BIDSVersion": told.get("BIDSVersion", "1.8.0"),
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "inversesr", "Version": version("inversesr")}],
        "SourceDatasets": [
            {"DOI": told["DatasetDOI"]} if "DatasetDOI" in told else {"URL": place}
        ],
        "DatasetLinks": {"raw": place},
        **{key: told[key] for key in ("License", "Authors") if key in told},
    }
    target.write_text(json_text(description, indent=2) + "\n")
    # what BIDS has no place for
    (output / ".bidsignore").write_text("\n".join(NOT_OF_BIDS) + "\n")
