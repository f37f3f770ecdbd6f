"""What `inversesr bench` shows: a line on standard error for each run, tables at the end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from inversesr.benchmarks.autoencoder import Reconstruction
    from inversesr.benchmarks.calibration import Coverage
    from inversesr.benchmarks.default_run import Phase
    from inversesr.benchmarks.networks import NetworkCost
    from inversesr.benchmarks.robustness import Cell, Gain
    from inversesr.benchmarks.rows import Row
    from inversesr.benchmarks.tasks import TaskMean

# Figures that are cut off at the width of a pipe or a small window would be of no use.
ENDLESS_WIDTH = 400
COLUMNS = (
    "solver", "PSNR", "SSIM", "NMSE", "null-space\nPSNR", "spectral\nerror, dB",
    "residual, largest\nbefore, after lock", "residual, rms\nbefore, after lock",
    "solver\ns", "process\ns", "encoder\n+ backward", "decoder\n+ backward",
    "denoiser\n+ backward", "peak\nGiB", "M voxels",
)  # fmt: skip
UNTIL = "s until\ninversesr-dec"


def print_nothing(_row: object) -> None:
    """Keep standard output for the one JSON object."""


def tell_row(row: "Row") -> None:
    """Say on standard error that a run has ended."""
    ended = f"{_text(row.process_seconds, '.1f')} s" if not row.failure else row.failure
    typer.echo(f"{row.task}: {row.solver}: {ended}", err=True)


def tell_gain(row: "Gain") -> None:
    """Say on standard error what one case of a sweep gave."""
    ended = row.failure or f"{_text(row.gain_db, '+.2f')} dB in {_text(row.seconds, '.1f')} s"
    typer.echo(f"{row.image}, {row.task}: {row.solver}: {ended}", err=True)


def tell_coverage(row: "Coverage") -> None:
    """Say on standard error what one crop gave."""
    typer.echo(
        f"{row.image}, {row.thickness_mm:.3g} mm: {row.covered['90%']:.1%} of 90%", err=True
    )


def print_coverage(rows: "Sequence[Coverage]") -> None:
    """Print how often intervals held the truth."""
    for row in rows:
        shares = "  ".join(f"{level} {share:.1%}" for level, share in row.covered.items())
        typer.echo(
            f"{row.image:32s} {row.thickness_mm:4.2f}|{row.gap_mm:.3g} mm  {shares}"
            f"  sd x {row.factor:.3g}, fitted x {row.needed_factor:.3g}"
            f"  rms error {row.rms_error:.4g}, sd {row.rms_sd:.4g}"
            f"  90% width {row.mean_width:.4g}  CRPS {row.crps:.4g}"
        )


def print_comparison(rows: "Sequence[Row]") -> None:
    """Print a table for each task, and below it what went wrong."""
    from rich.table import Table

    console = _console()
    has_times = any(row.trace for row in rows)
    for task in dict.fromkeys(row.task for row in rows):
        table = Table(title=task, title_justify="left")
        for number, name in enumerate([*COLUMNS, UNTIL] if has_times else COLUMNS):
            table.add_column(name, justify="left" if number == 0 else "right", no_wrap=True)
        found = [row for row in rows if row.task == task]
        for row in found:
            until = [_text(row.seconds_until, ".2f")] if has_times else []
            table.add_row(*_cells(row), *until)
        console.print(table)
        for row in found:
            if row.failure or row.note:
                kind = "failed" if row.failure else "note"
                typer.echo(f"{row.solver} {kind}: {row.failure or row.note}")


def print_means(means: "Sequence[TaskMean]") -> None:
    """Print PSNR of every solver on every task, mean over the images, and spectral errors."""
    from rich.table import Table

    for title, name in (
        ("PSNR in dB", "psnr_db"),
        ("spectral error across the slices in dB", "spectral_error_db"),
    ):
        table = Table(title=f"{title}, mean over images", title_justify="left")
        for column in ("task", *means[0].psnr_db, "images"):
            table.add_column(column, justify="left" if column == "task" else "right", no_wrap=True)
        for mean in means:
            cells = [_text(value, ".2f") for value in getattr(mean, name).values()]
            table.add_row(mean.task, *cells, str(mean.n_images))
        _console().print(table)


def print_gains(cells: "Sequence[Cell]") -> None:
    """Print the mean and the worst gain of each cell of a sweep, and over all."""
    from rich.table import Table

    table = Table(title="gain over spline, PSNR in dB", title_justify="left")
    names = ("solver", "slices, noise", "mean", "worst", "where", "least SSIM gain", "n", "failed")
    for name in names:
        is_word = name in ("solver", "slices, noise", "where")
        table.add_column(name, justify="left" if is_word else "right", no_wrap=True)
    for cell in cells:
        table.add_row(
            cell.solver,
            cell.task,
            _text(cell.mean_db, "+.2f"),
            _text(cell.worst_db, "+.2f"),
            cell.worst_case,
            _text(cell.least_ssim_gain, "+.4f"),
            str(cell.n_cases),
            str(cell.n_failed),
        )
    _console().print(table)


def print_cost(cost: "NetworkCost") -> None:
    """Print what one network cost."""
    if cost.seconds is None or cost.peak_gib is None:
        found = cost.note
    else:
        found = f"{cost.seconds:7.1f} s  {cost.peak_gib:5.1f} GiB"
    typer.echo(f"{cost.operation:22s} {cost.variant:6s} {cost.dtype:9s} {found}")


def print_phases(phases: "Sequence[Phase]") -> None:
    """Print what each part of a run took."""
    for phase in phases:
        peak = f"  peak {phase.peak_gib:.1f} GiB" if phase.peak_gib is not None else ""
        note = f"  ({phase.note})" if phase.note else ""
        typer.echo(f"{phase.phase:40s} {_text(phase.seconds, '8.1f')} s{peak}{note}")


def print_reconstruction(row: "Reconstruction") -> None:
    """Print how well one image survived encoding and decoding."""
    typer.echo(
        f"{row.image:32s} PSNR {row.psnr_db:5.2f} dB  encode {row.encode_seconds:5.1f} s  "
        f"decode {row.decode_seconds:5.1f} s  {row.n_voxels / 1e6:5.1f} M voxels"
    )


def _cells(row: "Row") -> tuple[str, ...]:
    n_million = None if row.n_voxels is None else row.n_voxels / 1e6
    return (
        row.solver,
        _text(row.psnr_db, ".2f"),
        _text(row.ssim, ".4f"),
        _text(row.nmse, ".4f"),
        _text(row.null_space_psnr_db, ".2f"),
        _text(row.spectral_error_db, ".2f"),
        _pair(row.before_lock_largest, row.after_lock_largest, ".1e"),
        _pair(row.before_lock_rms, row.after_lock_rms, ".1e"),
        _text(row.solver_seconds, ".2f"),
        _text(row.process_seconds, ".1f"),
        _pair(row.encode, row.encode_backward, "d"),
        _pair(row.decode, row.decode_backward, "d"),
        _pair(row.denoise, row.denoise_backward, "d"),
        _text(row.peak_gib, ".2f"),
        _text(n_million, ".1f"),
    )


def _pair(first: float | None, second: float | None, form: str) -> str:
    between = " + " if form == "d" else ", "
    return "-" if first is None else _text(first, form) + between + _text(second, form)


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, width=ENDLESS_WIDTH)
