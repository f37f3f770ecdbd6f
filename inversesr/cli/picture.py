"""The command `inversesr picture`: solvers side by side, as one PNG."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from inversesr.cli.bench.options import read_solvers
from inversesr.cli.console import Settings, failing_in_one_sentence
from inversesr.config import SimulateConfig

SOLVERS = ["spline", "tv", "warmstart"]


def picture(
    truth: Annotated[
        Path | None,
        typer.Argument(metavar="TRUTH", help="Thin-slice image [default: the demo's head]."),
    ] = None,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PNG", help="File to write.")],
    solver: Annotated[
        list[str] | None,
        typer.Option(
            help="Solver; may be repeated, or several with commas [default: spline, tv, "
            "warmstart]."
        ),
    ] = None,
    settings: Settings = None,
    thickness: Annotated[float, typer.Option(metavar="MM", help="Slice thickness.")] = 4.0,
) -> None:
    """Draw TRUTH, what solvers restore from thick slices of it, and their errors, as one PNG."""
    with failing_in_one_sentence():
        from inversesr.benchmarks.picture import picture_solvers
        from inversesr.workflows.demo import demo_head

        task = SimulateConfig(thickness_mm=thickness)
        with nullcontext(truth) if truth else demo_head() as path:
            picture_solvers(
                path,
                task,
                read_solvers(solver) or SOLVERS,
                output,
                settings or [],
                lambda name, psnr_db: typer.echo(f"{name:14s} PSNR {psnr_db:6.2f} dB"),
            )
        typer.echo(f"picture: {output}")
