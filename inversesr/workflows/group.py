"""All subjects of a study together: one table and one page, the worst first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from inversesr.errors import InputError
from inversesr.io.atomic import atomic_folder, check_output
from inversesr.io.csv_table import write_csv
from inversesr.io.nifti import read_scan
from inversesr.report.group import Row, thumbnail, write_group_page
from inversesr.workflows.batch_table import (
    FAILED,
    REFUSED,
    Entry,
    count_by_status,
    entries_of,
)
from inversesr.workflows.bids import LOGS
from inversesr.workflows.record import read_record
from inversesr.workflows.scan_folder import DESCRIPTION_NAME

TABLE_NAME, PAGE_NAME = "group.csv", "group.html"


@dataclass(frozen=True)
class Group:
    """What was written for a study.

    Attributes:
        entries: What became of each scan, the worst first.
        table: The table.
        page: The page.
    """

    entries: list[Entry]
    table: Path
    page: Path


def gather(output: Path, force: bool = True) -> Group:  # noqa: FBT001, FBT002
    """Write the table and the page of all that was restored into a folder.

    Args:
        output: Folder of results.
        force: Whether those of an earlier call are replaced.

    Raises:
        InputError: nothing was restored there, or it cannot be written to.
    """
    tables = sorted((output / LOGS).glob("*.csv"))
    if not tables:
        message = f"{output} has no results: run the level participant into it first"
        raise InputError(message)
    table, page = output / TABLE_NAME, output / PAGE_NAME
    check_output([table, page], force=force)
    entries = worst_first([entry for file in tables for entry in entries_of(file).values()])
    told = read_record(output / DESCRIPTION_NAME)
    rows = [_row_of(entry, output) for entry in entries]
    with atomic_folder(output, PAGE_NAME) as partial:
        write_csv(partial / TABLE_NAME, entries)
        title = str(told.get("Name", output.name))
        write_group_page(partial / PAGE_NAME, title, count_by_status(entries), rows)
    return Group(entries, table, page)


def worst_first(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries in the order in which a reader wants to look at them."""

    def badness(entry: Entry) -> tuple[int, float, float, str]:
        order = {FAILED: 0, REFUSED: 1}.get(entry.status, 2)
        warnings, share = _number(entry.n_warnings), _number(entry.largest_share)
        return order, -warnings, -share, entry.scan

    return sorted(entries, key=badness)


def _number(told: object) -> float:
    """Return a figure of a table, which is text where it was read; 0 where there is none."""
    return float(str(told)) if told not in (None, "") else 0.0


def _row_of(entry: Entry, output: Path) -> Row:
    share = _number(entry.largest_share)
    return Row(
        entry.scan,
        entry.status,
        entry.reason or entry.warnings,
        entry.solver,
        0 if entry.reason else int(_number(entry.n_warnings)),
        f"{share:.1g} of the range" if entry.image else "",
        _picture_of(output / entry.image) if entry.image else "",
        quote(entry.report),
    )


def _picture_of(image: Path) -> str:
    """Return the picture of an image; nothing where it is not there any more."""
    try:
        return thumbnail(read_scan(image).volume)
    except InputError:
        return ""
