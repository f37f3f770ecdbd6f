"""The table of a batch: one row a scan."""

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from time import monotonic
from typing import Any

from inversesr.errors import InputError
from inversesr.io.csv_table import write_csv
from inversesr.workflows.outputs import Outputs
from inversesr.workflows.record import present_solver_of, read_record

TABLE_NAME = "batch.csv"
DONE, KEPT, REFUSED, FAILED = "done", "kept", "refused", "failed"
# A table of many scans takes its time: at most this share of the whole goes into renewing it.
SHARE_FOR_TABLE = 0.05
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


def entries_of(table: Path) -> dict[str, Entry]:
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
    return {
        row["scan"]: Entry(**{**row, "solver": present_solver_of(row["solver"])}) for row in found
    }


@contextmanager
def growing_table(table: Path) -> Iterator[Callable[[Entry], None]]:
    """Give a function that notes an entry in a table, whose earlier entries stay.

    The table is renewed as entries come, as hours of work may be interrupted; that of many scans
    less often. At the end it has all of them.

    Raises:
        InputError: there is a file of that name that is no table of a batch.
    """
    entries = entries_of(table)
    next_time = 0.0

    def write() -> None:
        write_csv(table, [entries[name] for name in sorted(entries)])

    def note(entry: Entry) -> None:
        nonlocal next_time
        entries[entry.scan] = entry
        start = monotonic()
        if start >= next_time:
            write()
            end = monotonic()
            next_time = end + (end - start) / SHARE_FOR_TABLE

    try:
        yield note
    finally:
        if next_time:
            write()


def told_by_record(entry: Entry, outputs: Outputs, status: str) -> Entry:
    """Fill in what the record of a run says."""
    record = read_record(outputs.sidecar)
    folder = Path(entry.scan).parent
    files = record["files"]
    warnings = record["warnings"]
    return replace(
        entry,
        status=status,
        image=str(folder / outputs.image.name),
        report=str(folder / files["report"]) if "report" in files else "",
        solver=present_solver_of(record["solver"]["used"]),
        seconds=record["seconds"]["total"],
        peak_gib=record["peak_memory_bytes"] / 2**30,
        largest_share=max(scan["agreement"]["largest_share"] for scan in record["scans"]),
        n_warnings=len(warnings),
        warnings=" ".join(warnings),
    )


def count_by_status(entries: Iterable[Entry]) -> dict[str, int]:
    """Return how many scans there are of each status that occurs."""
    found = [entry.status for entry in entries]
    return {status: found.count(status) for status in STATUSES if status in found}
