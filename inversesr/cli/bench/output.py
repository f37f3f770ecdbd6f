"""Where the rows of a benchmark go: standard output, JSON and CSV."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from inversesr.cli.console import Json, print_json
from inversesr.errors import InputError


@dataclass(frozen=True)
class Output:
    """Files and forms of the result.

    Raises:
        InputError: the folder of the CSV file does not exist.
    """

    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Also write the rows as CSV.")
    ] = None
    as_json: Json = False

    def __post_init__(self) -> None:
        check_folder(self.csv)

    def keeping(self, tell: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a callback that renews the CSV file after each run, as hours may be lost."""
        from inversesr.io.csv_table import write_csv

        rows: list[Any] = []

        def keep(row: object) -> None:
            rows.append(row)
            tell(row)
            if self.csv is not None:
                write_csv(self.csv, rows)

        return keep

    def unless_json(self, show: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a function that prints, or nothing where standard output is one JSON object."""
        return (lambda _row: None) if self.as_json else show

    def finish(
        self, rows: Sequence[Any], show: Callable[[Sequence[Any]], None] = lambda _rows: None
    ) -> None:
        """Write the rows as CSV and JSON, or show them.

        Args:
            rows: Dataclasses.
            show: Prints them as a table.
        """
        from inversesr.io.csv_table import write_csv

        if not self.as_json:
            show(rows)
        if self.csv is not None:
            write_csv(self.csv, rows)
        if self.as_json:
            print_json({"rows": [asdict(row) for row in rows]})


def check_folder(file: Path | None) -> None:
    """Make sure before hours of work that a file can be written.

    Raises:
        InputError: its folder does not exist.
    """
    if file is not None and not file.absolute().parent.is_dir():
        message = f"{file} lies in a folder that does not exist: make it, or name another"
        raise InputError(message)
