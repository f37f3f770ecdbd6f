"""Rows of figures as a CSV file."""

import csv
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any


def write_csv(path: Path, rows: Sequence[Any]) -> None:
    """Write rows, dataclasses of one kind; what has many values in itself is left out.

    The file is replaced as a whole, so that whoever reads it meanwhile finds whole rows.
    """
    if not rows:
        return
    names = [f.name for f in fields(rows[0]) if f.name != "trace"]
    path = path.resolve()
    is_special = path.exists() and not path.is_file()  # such as /dev/stdout
    partial = path if is_special else path.with_name(f".{path.name}.{os.getpid()}.partial")
    # a file name need not be text
    with partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        # csv writes None as nothing and floats with all their digits
        writer.writerows([getattr(row, name) for name in names] for row in rows)
    if not is_special:
        partial.replace(path)
