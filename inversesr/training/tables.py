"""Tables of figures that grow by a row at a time, as CSV."""

import csv
from pathlib import Path


def append_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to a table; the first row brings the header."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def drop_rows_after(path: Path, step: int) -> None:
    """Forget rows that were written after the checkpoint that is being resumed."""
    if not path.exists():
        return
    header, *rows = path.read_text().splitlines(keepends=True)
    kept = [row for row in rows if int(row.split(",")[0]) <= step]
    path.write_text("".join([header, *kept]))
