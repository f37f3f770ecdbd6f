"""Tables of comparisons, and a line on standard error for each run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from inversesr.benchmarks.rows import Row

# Figures that are cut off at the width of a pipe or a small window would be of no use.
ENDLESS_WIDTH = 400
COLUMNS = (
    "solver", "PSNR", "SSIM", "NMSE", "null-space\nPSNR", "spectral\nerror, dB",
    "residual, largest\nbefore, after consistency", "residual, rms\nbefore, after consistency",
    "solver\ns", "process\ns", "encoder\n+ backward", "decoder\n+ backward",
    "denoiser\n+ backward", "peak\nGiB", "M voxels",
)  # fmt: skip
UNTIL = "s until\ninversesr-dec"


def tell_row(row: "Row") -> None:
    """Say on standard error that a run has ended."""
    ended = f"{text(row.process_seconds, '.1f')} s" if not row.failure else row.failure
    typer.echo(f"{row.task}: {row.solver}: {ended}", err=True)


def print_comparison(rows: "Sequence[Row]") -> None:
    """Print a table for each task, and below it what went wrong."""
    from rich.table import Table

    console = wide_console()
    has_times = any(row.trace for row in rows)
    for task in dict.fromkeys(row.task for row in rows):
        table = Table(title=task, title_justify="left")
        for number, name in enumerate([*COLUMNS, UNTIL] if has_times else COLUMNS):
            table.add_column(name, justify="left" if number == 0 else "right", no_wrap=True)
        found = [row for row in rows if row.task == task]
        for row in found:
            until = [text(row.seconds_until, ".2f")] if has_times else []
            table.add_row(*_cells(row), *until)
        console.print(table)
        for row in found:
            if row.failure or row.note:
                kind = "failed" if row.failure else "note"
                typer.echo(f"{row.solver} {kind}: {row.failure or row.note}")


def _cells(row: "Row") -> tuple[str, ...]:
    n_million = None if row.n_voxels is None else row.n_voxels / 1e6
    return (
        row.solver,
        text(row.psnr_db, ".2f"),
        text(row.ssim, ".4f"),
        text(row.nmse, ".4f"),
        text(row.null_space_psnr_db, ".2f"),
        text(row.spectral_error_db, ".2f"),
        _pair(row.before_consistency_largest, row.after_consistency_largest, ".1e"),
        _pair(row.before_consistency_rms, row.after_consistency_rms, ".1e"),
        text(row.solver_seconds, ".2f"),
        text(row.process_seconds, ".1f"),
        _pair(row.encode, row.encode_backward, "d"),
        _pair(row.decode, row.decode_backward, "d"),
        _pair(row.denoise, row.denoise_backward, "d"),
        text(row.peak_gib, ".2f"),
        text(n_million, ".1f"),
    )


def _pair(first: float | None, second: float | None, form: str) -> str:
    between = " + " if form == "d" else ", "
    return "-" if first is None else text(first, form) + between + text(second, form)


def text(value: float | None, form: str) -> str:
    """Return a figure in the given format, "-" where it is not known."""
    return "-" if value is None else format(value, form)


def wide_console() -> "Console":
    """Return a console that cuts no column off."""
    from rich.console import Console

    return Console(highlight=False, width=ENDLESS_WIDTH)
