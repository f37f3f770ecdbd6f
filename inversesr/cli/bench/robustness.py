"""The command `inversesr bench robustness`: gains over interpolation, in the mean and at worst."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import Images, Slices, SolverChoice, given_or_template
from inversesr.cli.bench.output import Output
from inversesr.cli.bench.tables import text, wide_console
from inversesr.config import AUTOMATIC

if TYPE_CHECKING:
    from inversesr.benchmarks.robustness import Gain


@with_groups
def robustness(
    *,
    images: Images,
    misstated: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            help="Tell the solvers a slice thickness that is wrong by this much.",
        ),
    ] = 0.0,
    chosen: SolverChoice,
    slices: Slices,
    output: Output,
) -> None:
    """Print the mean and the worst gain over spline.

    By default the solver that `run` would take, on slices of 3, 4, 5, 6 and 8 mm, box-shaped and
    Gaussian, with 0, 1, 2 and 3 % noise.
    """
    setup = chosen.setup(images.crop, misstated)
    from inversesr.benchmarks.robustness import (
        NOISE_PERCENT,
        PROFILES,
        THICKNESSES_MM,
        measure_robustness,
    )

    tasks = slices.tasks(chosen.seed, THICKNESSES_MM, PROFILES, NOISE_PERCENT)
    names, tell = chosen.names or [AUTOMATIC], output.keeping(tell_gain)
    with given_or_template(images.truths) as truths:
        rows = measure_robustness(truths, tasks, names, tell, setup)
    output.finish(rows, print_gains)


def tell_gain(row: "Gain") -> None:
    """Say on standard error what one case of a sweep gave."""
    ended = row.failure or f"{text(row.gain_db, '+.2f')} dB in {text(row.seconds, '.1f')} s"
    typer.echo(f"{row.image}, {row.task}: {row.solver}: {ended}", err=True)


def print_gains(rows: "Sequence[Gain]") -> None:
    """Print the mean and the worst gain of each task of a sweep, and over all."""
    from rich.table import Table

    from inversesr.benchmarks.robustness import summarise_gains

    table = Table(title="gain over spline, PSNR in dB", title_justify="left")
    names = ("solver", "slices, noise", "mean", "worst", "where", "least SSIM gain", "n", "failed")
    for name in names:
        is_word = name in ("solver", "slices, noise", "where")
        table.add_column(name, justify="left" if is_word else "right", no_wrap=True)
    for cell in summarise_gains(rows):
        table.add_row(
            cell.solver,
            cell.task,
            text(cell.mean_db, "+.2f"),
            text(cell.worst_db, "+.2f"),
            cell.worst_case,
            text(cell.least_ssim_gain, "+.4f"),
            str(cell.n_cases),
            str(cell.n_failed),
        )
    wide_console().print(table)
