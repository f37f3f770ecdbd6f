"""The command `inversesr bench realism`: spectrum, grain, probability scores and tissues."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import (
    PICTURE_HELP,
    QUICK_SOLVERS,
    Images,
    Slices,
    SolverChoice,
    given_or_template,
)
from inversesr.cli.bench.output import Output
from inversesr.cli.bench.tables import text, wide_console

if TYPE_CHECKING:
    from inversesr.benchmarks.realism_rows import Realism

COLUMNS = (
    "solver", "what", "PSNR", "SSIM", "spectral error\nunseen, dB", "smooth tissue\nsd / truth",
    "absolute\nerror", "CRPS", "90 %\nholds, %", "factor", "Dice\nfluid, grey, white",
    "volume / truth\nfluid, grey, white",
)  # fmt: skip
TISSUES = ("fluid", "grey", "white")


@dataclass(frozen=True)
class Samples:
    """What is drawn."""

    samples: Annotated[
        int, typer.Option(min=2, metavar="N", help="Samples of solvers that draw any.")
    ] = 8
    picture: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help=PICTURE_HELP),
    ] = None


@with_groups
def realism(
    *,
    images: Images,
    chosen: SolverChoice,
    slices: Slices,
    wanted: Samples,
    output: Output,
) -> None:
    """Judge images and samples by more than PSNR.

    Power across the slices beyond what these can show, grain in smooth tissue, CRPS and coverage
    of samples, and the tissues that a segmentation finds in result and truth. For T1-weighted
    truths; by default spline, tv and diffusion on slices of 4 mm.
    """
    setup, tasks = chosen.setup(images.crop), slices.tasks(chosen.seed)
    names = chosen.names or QUICK_SOLVERS
    from inversesr.benchmarks.realism import measure_realism
    from inversesr.benchmarks.realism_case import Study
    from inversesr.benchmarks.realism_picture import RealismPicture

    drawn = RealismPicture(wanted.picture) if wanted.picture else None
    look = drawn.look if drawn else (lambda _restored: None)
    tell, study = output.keeping(tell_realism), Study(setup, wanted.samples)
    with given_or_template(images.truths) as truths:
        rows = measure_realism(truths, tasks, names, tell, study, look)
    if drawn:
        drawn.write()
    output.finish(rows, print_realism)


def tell_realism(row: "Realism") -> None:
    """Say on standard error what one image or sample gave."""
    quality = f"PSNR {text(row.psnr_db, '.2f')} dB, CRPS {text(row.crps, '.4g')}"
    typer.echo(f"{row.image}, {row.task}: {row.solver}, {row.kind}: {quality}", err=True)


def print_realism(rows: "Sequence[Realism]") -> None:
    """Print a table for each truth and degradation, and the means."""
    from rich.table import Table

    console = wide_console()
    for title in dict.fromkeys(f"{row.image}, {row.task}" for row in rows):
        table = Table(title=title, title_justify="left")
        for n, name in enumerate(COLUMNS):
            table.add_column(name, justify="left" if n < 2 else "right", no_wrap=True)
        for row in rows:
            if f"{row.image}, {row.task}" == title:
                table.add_row(*_cells(row))
        console.print(table)


def _cells(row: "Realism") -> tuple[str, ...]:
    covered = None if row.covered is None else 100.0 * row.covered
    dice, volume = (
        ", ".join(text(getattr(row, f"{name}_{tissue}"), ".3f") for tissue in TISSUES)
        for name in ("dice", "volume")
    )
    return (
        row.solver,
        row.kind,
        text(row.psnr_db, ".2f"),
        text(row.ssim, ".4f"),
        text(row.spectral_error_db, ".2f"),
        text(row.smooth_sd_ratio, ".2f"),
        text(row.absolute_error, ".4g"),
        text(row.crps, ".4g"),
        text(covered, ".1f"),
        text(row.factor, ".3g"),
        dice,
        volume,
    )
