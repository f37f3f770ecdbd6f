"""A folder of scans, each restored in a process of its own; finished scans are skipped.

A scan that fails becomes a row and the others go on. An interrupted batch goes on where it
stopped when it is called again.
"""

import csv
import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from inversesr.config import AUTOMATIC, OLD_CHOICES, OLD_SOLVERS, Config
from inversesr.errors import InputError
from inversesr.io.atomic import check_folder_name, check_output
from inversesr.io.checks import SUFFIXES, stem
from inversesr.io.csv_table import write_csv
from inversesr.io.dicom.listing import series_below
from inversesr.io.dicom.taking import facts_of
from inversesr.io.json_text import json_text
from inversesr.io.names import is_named_labels, part_of
from inversesr.io.paths import parts_of
from inversesr.priors.card import read_card
from inversesr.priors.store import CARD_NAME, digest, find_prior
from inversesr.resources import usable_cores
from inversesr.solvers.options import check_settings
from inversesr.solvers.registry import find
from inversesr.workflows.executors.protocol import Failure, executor_of
from inversesr.workflows.restore import choose_device
from inversesr.workflows.run import Outputs, file_facts, output_names, run_job, sidecar_facts

TABLE_NAME = "batch.csv"
DESCRIPTION_NAME = "dataset_description.json"
DONE, KEPT, REFUSED, FAILED = "done", "kept", "refused", "failed"
STATUSES = (DONE, KEPT, REFUSED, FAILED)


@dataclass(frozen=True)
class Entry:
    """What became of one scan.

    Attributes:
        scan: Its file, from the folder of scans on.
        status: "done", "kept" (done before by the same options), "refused" (unusable), "failed".
        reason: Why there is no image, in a sentence.
        image: The restored image, from the folder of results on.
        report: Its report, likewise.
        solver: Solver that was used.
        seconds: Wall clock of the work, start of the process not included.
        peak_gib: Peak resident memory of the process.
        largest_share: Largest difference from the measured slices, as a share of their range.
        n_warnings: How many warnings there are.
        warnings: The warnings.
    """

    scan: str
    status: str = DONE
    reason: str = ""
    image: str = ""
    report: str = ""
    solver: str = ""
    seconds: float | None = None
    peak_gib: float | None = None
    largest_share: float | None = None
    n_warnings: int | None = None
    warnings: str = ""


def find_scans(
    folder: Path, patterns: Sequence[str] = (), without: Path | None = None
) -> list[Path]:
    """Return the images below a folder, sorted; links are followed.

    In a BIDS dataset these are the scans in its `anat` folders, derivatives left out; elsewhere
    all images but hidden ones and results of `inversesr`: those beside their scans, and whatever
    lies below a folder with the table of a batch. What is called a mask, a label map, or the phase
    of a complex image is no scan.

    Args:
        folder: Where to look.
        patterns: How names end, such as "*_T2w.nii.gz" or "sub-01/*/*.nii"; none for all.
        without: Folder of results, which is left out where it is one of those below.

    Raises:
        InputError: there is no such folder, no image in it, or a part of it cannot be read.
    """
    if not folder.is_dir():
        message = f"{folder} is not a folder: give one that holds scans"
        raise InputError(message)
    is_bids = (folder / DESCRIPTION_NAME).is_file()
    images = [
        path
        for path in sorted(_files_below(folder, without))
        if path.name.lower().endswith(SUFFIXES)
        and not _is_second_half(path)
        and _may_be_scan(path.relative_to(folder), is_bids=is_bids)
    ]
    results = {file for image in images for file in _results_of(image)}
    found = [
        path
        for path in images
        if path not in results
        and (not patterns or any(path.relative_to(folder).match(p) for p in patterns))
    ]
    if not found:
        where = "in the anat folders of the BIDS dataset" if is_bids else "below"
        like = f" like {' or '.join(patterns)}" if patterns else ""
        message = (
            f"no image{like} {where} {folder}; expected {', '.join(SUFFIXES)}, not called a mask, "
            "a label map or the phase of a scan"
        )
        raise InputError(message)
    return found


def _results_of(image: Path) -> list[Path]:
    """Return the results of a run on an image beside it, and of the run that made the image."""
    record = _read_record(image.with_name(f"{stem(image)}.json"))
    # only our records have both; other programs' sidecars may have either
    made = record.get("files") if "IntendedUse" in record else None
    names = made.values() if isinstance(made, dict) else ()
    beside = [image.with_name(name) for name in names if isinstance(name, str) and name]
    return beside + list(output_names(image, None).files.values())


def _is_second_half(path: Path) -> bool:
    """Whether a file is the voxels of a pair whose header lies beside it."""
    header = parts_of(path)[0]
    return header != path and header.is_file()


def _may_be_scan(path: Path, *, is_bids: bool) -> bool:
    """Whether a file, named from the folder on, lies where scans lie and is called like one."""
    if any(part.startswith(".") for part in path.parts):
        return False
    if is_named_labels(stem(path)) or part_of(stem(path)) is not None:
        return False
    if not is_bids:
        return True
    is_derived = path.parts[0] in ("derivatives", "sourcedata", "code")
    return path.parent.name == "anat" and not is_derived


def _files_below(folder: Path, without: Path | None) -> Iterator[Path]:
    """Give the files below a folder, links followed, results of batches left out."""

    def refuse(error: OSError) -> None:
        message = (
            f"cannot read {error.filename} ({error.strerror}): make it readable for this user"
        )
        raise InputError(message) from error

    left_out = None if without is None else without.resolve()
    seen: set[Path] = set()
    for parent, names, files in os.walk(folder, onerror=refuse, followlinks=True):
        here = Path(parent).resolve()
        is_results = here != folder.resolve() and (here == left_out or TABLE_NAME in files)
        if is_results or here in seen:
            names.clear()
            continue
        seen.add(here)
        yield from (Path(parent) / name for name in files)


@dataclass(frozen=True)
class Batch:
    """A folder of scans and what is to become of them.

    Attributes:
        folder: Where the scans are.
        output: Where results go, into the same folders as the scans, with a table of all.
        config: Choices of every run.
        patterns: Which scans; see `find_scans`.
        n_jobs: Scans at a time; each takes an equal part of the processor's cores.
        executor: Name of what carries out the work; see `executors.protocol`.
        force: Whether results that are there are made anew.
        shown: DICOM series -> by what its results are named; see `io.dicom.listing`.

    Raises:
        InputError: a choice is meant for one scan only, there are no jobs, there is no such
            executor, a pattern is none, or the results would go into an image.
    """

    folder: Path
    output: Path
    config: Config
    patterns: Sequence[str] = ()
    n_jobs: int = 1
    force: bool = False
    executor: str = "local"
    shown: Mapping[Path, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_folder_name(self.output)
        executor_of(self.executor)
        if self.n_jobs < 1:
            message = f"jobs is {self.n_jobs}; expected at least 1"
            raise InputError(message)
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
    _check_choices(batch.config)
    series = _find_series(batch)
    scans = [*_find_images(batch, is_needed=not series), *series]
    table = batch.output / TABLE_NAME
    check_output([table], force=True)
    entries = _entries_of(table)
    batch.output.mkdir(parents=True, exist_ok=True)
    _describe_dataset(batch.folder, batch.output)
    share = max(1, usable_cores() // batch.n_jobs)
    threads = batch.config.threads or min(torch.get_num_threads(), share)
    batch = replace(batch, config=replace(batch.config, threads=threads), shown=series)
    done: dict[Path, Entry] = {}
    with closing(_restored(batch, scans)) as restored:
        for scan, entry in restored:
            done[scan] = entries[entry.scan] = entry
            # after each: hours of work may be interrupted
            write_csv(table, [entries[name] for name in sorted(entries)])
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
        for file in _files_below(folder, batch.output)
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    found = series_below(folder, files, batch.config.series)
    return {one.path: one.shown for one in found if _is_like(one.path, batch)}


def _is_like(scan: Path, batch: Batch) -> bool:
    """Whether a series, or its place, is called as the patterns of a batch want it."""
    name = scan.relative_to(batch.folder)
    patterns = batch.patterns
    return not patterns or any(name.match(p) or name.parent.match(p) for p in patterns)


def _check_choices(config: Config) -> None:
    """Refuse what every scan would be refused for."""
    check_settings(config.settings)
    is_named = config.solver != AUTOMATIC
    choose_device(config.device)
    if not is_named or find(config.solver).has_prior:
        read_card(find_prior(config.prior))


def _entries_of(table: Path) -> dict[str, Entry]:
    """Read the table of an earlier batch into the same folder: scan -> its row."""
    if not table.is_file():
        return {}
    names = [f.name for f in fields(Entry)]
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if rows.fieldnames != names:
            message = f"{table} is no table of a batch: move it away, or give another -o"
            raise InputError(message)
        # figures stay the text that they are: they are only written again
        found: list[dict[str, Any]] = list(rows)
    return {row["scan"]: Entry(**{**row, "solver": _present(row["solver"])}) for row in found}


def _restored(batch: Batch, scans: Sequence[Path]) -> Generator[tuple[Path, Entry]]:
    """Give each scan with its entry, in the order in which they are done."""
    first_of: dict[Path, Path] = {}
    waiting: dict[Path, Entry] = {}
    for scan in scans:
        outputs = batch.outputs_of(scan)
        first = first_of.setdefault(outputs.image, scan)
        entry = Entry(str(scan.relative_to(batch.folder)))
        if first is not scan:
            reason = f"its results would be named like those of {first.name}: rename one"
            yield scan, replace(entry, status=REFUSED, reason=reason)
        elif not batch.force and (kept := _kept(entry, scan, outputs, batch.config)):
            yield scan, kept
        else:
            waiting[scan] = entry
    execute = executor_of(batch.executor)
    # closed at once where the work is interrupted: processes must not go on
    with closing(execute(partial(_restore, batch), list(waiting), batch.n_jobs)) as ended:
        for scan, failure in ended:
            yield scan, _ended(waiting[scan], batch.outputs_of(scan), failure)


def _ended(entry: Entry, outputs: Outputs, failure: Failure | None) -> Entry:
    """Return the entry of a scan whose work has ended."""
    if failure is None:
        return _told(entry, outputs, DONE)
    status = REFUSED if failure.is_unusable else FAILED
    return replace(entry, status=status, reason=failure.sentence)


def _kept(entry: Entry, scan: Path, outputs: Outputs, config: Config) -> Entry | None:
    """Return the entry of a scan that is done, else nothing."""
    try:
        return _told(entry, outputs, KEPT) if is_done(scan, outputs, config) else None
    except (OSError, InputError, KeyError, TypeError, IndexError, AttributeError):
        # a record that is damaged or not ours: the run itself says what is in the way
        return None


def _restore(batch: Batch, scan: Path) -> None:
    run_job([scan], batch.config, batch.outputs_of(scan).image.parent, force=batch.force)


def is_done(scan: Path, outputs: Outputs, config: Config) -> bool:
    """Whether a result is whole, and of this very scan, sidecar, options, prior and version.

    Args:
        scan: Image file.
        outputs: Names of its results.
        config: Choices of the run.
    """
    if not outputs.sidecar.is_file():
        return False
    record = _read_record(outputs.sidecar)
    # a record of the version before has the solver that was chosen there
    asked = record.get("requested_solver", record["config"]["solver"])
    # nor does it know choices that were added since
    made_by = {**asdict(Config()), **record["config"], "solver": asked}
    wanted = json.loads(json_text(asdict(config)))
    return (
        _choices(made_by) == _choices(wanted)
        and _is_of(record, scan)
        and record["GeneratedBy"][0]["Version"] == version("inversesr")
        and _has_same_prior(record, config)
        and all((outputs.image.parent / name).is_file() for name in record["files"].values())
        and all(
            (outputs.image.parent / series["folder"]).is_dir()
            for series in record.get("dicom_series", {}).values()
        )
    )


def _is_of(record: dict[str, Any], scan: Path) -> bool:
    """Whether a result was made from this very scan, as it is now."""
    series = facts_of(scan)
    if series is not None:
        return bool(record["inputs"] == [series])
    is_same = record["inputs"] == [file_facts(scan)]
    return is_same and bool(record["sidecars"] == sidecar_facts([scan]))


def _has_same_prior(record: dict[str, Any], config: Config) -> bool:
    """Whether the prior that a result was made with is still the one of its name."""
    used = record["prior_card"]
    return used is None or bool(used["sha256"] == digest(find_prior(config.prior) / CARD_NAME))


def _choices(config: dict[str, Any]) -> dict[str, Any]:
    """Leave out what does not change a result but for rounding."""
    present = {OLD_CHOICES.get(name, name): value for name, value in config.items()}
    present["solver"] = _present(present["solver"])
    return {name: value for name, value in present.items() if name not in ("threads", "device")}


def _present(solver: str) -> str:
    """Return the present name of a solver that a file of an earlier version names."""
    return OLD_SOLVERS.get(solver, solver)


def _read_record(path: Path) -> dict[str, Any]:
    """Read the record of a run; an empty one where it is damaged or there is none."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _told(entry: Entry, outputs: Outputs, status: str) -> Entry:
    """Fill in what the record of a run says."""
    record = _read_record(outputs.sidecar)
    folder = Path(entry.scan).parent
    files = record["files"]
    warnings = record["warnings"]
    return replace(
        entry,
        status=status,
        image=str(folder / outputs.image.name),
        report=str(folder / files["report"]) if "report" in files else "",
        solver=_present(record["solver"]["used"]),
        seconds=record["seconds"]["total"],
        peak_gib=record["peak_memory_bytes"] / 2**30,
        largest_share=max(scan["agreement"]["largest_share"] for scan in record["scans"]),
        n_warnings=len(warnings),
        warnings=" ".join(warnings),
    )


def _describe_dataset(folder: Path, output: Path) -> None:
    """Make the results of a BIDS dataset a derivative dataset."""
    source, target = folder / DESCRIPTION_NAME, output / DESCRIPTION_NAME
    if not source.is_file() or target.exists():
        return
    told = _read_record(source)
    description = {
        "Name": f"{told.get('Name', folder.name)}: thin slices by inversesr",
        "BIDSVersion": told.get("BIDSVersion", "1.8.0"),
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "inversesr", "Version": version("inversesr")}],
    }
    target.write_text(json_text(description, indent=2) + "\n")


def count_by_status(entries: Iterable[Entry]) -> dict[str, int]:
    """Return how many scans there are of each status that occurs."""
    found = [entry.status for entry in entries]
    return {status: found.count(status) for status in STATUSES if status in found}
