"""The command `inversesr bench kspace`: methods of reconstruction on simulated k-space."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.output import Output
from inversesr.config import BUILTIN_PRIOR
from inversesr.solvers.kspace.registry import METHODS

if TYPE_CHECKING:
    from inversesr.benchmarks.kspace import KSpaceRow


@with_groups
def kspace(  # noqa: PLR0913 (one argument a flag)
    *,
    truths: Annotated[list[Path], typer.Argument(metavar="HR...", help="Thin-slice images.")],
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[,solver.NAME=VALUE...]", help="Method; may be repeated [default: all]."
        ),
    ] = None,
    mask: Annotated[list[str] | None, typer.Option(help="Kind of mask; may be repeated.")] = None,
    acceleration: Annotated[list[float] | None, typer.Option(help="May be repeated.")] = None,
    sigma: Annotated[
        list[float] | None,
        typer.Option(help="Noise as a share of the brightest intensity; may be repeated."),
    ] = None,
    calibration: Annotated[int, typer.Option(min=0, help="Side of the middle.")] = 12,
    slices: Annotated[int, typer.Option(min=1, help="Slices about the middle.")] = 1,
    prior: Annotated[str, typer.Option(metavar="NAME|DIR")] = BUILTIN_PRIOR,
    seed: Annotated[int, typer.Option(min=0, help="Seed of noise and solvers.")] = 0,
    output: Output,
) -> None:
    """Compare reconstructions of simulated k-space.

    Eight coils; by default accelerations of 4 and 8, lines and points, and noise of 0 to 10 %.
    """
    from inversesr.benchmarks.kspace import KSpaceTasks, compare_kspace

    default = KSpaceTasks()
    tasks = KSpaceTasks(
        tuple(mask or default.masks),
        tuple(acceleration or default.accelerations),
        tuple(default.noises if sigma is None else sigma),
        KSpaceSimulation(calibration=calibration, n_slices=slices, seed=seed),
    )
    tell = output.keeping(tell_row)
    rows = compare_kspace(truths, tasks, method or list(METHODS), prior, tell)
    output.finish(rows, print_table)


def tell_row(row: "KSpaceRow") -> None:
    """Say on standard error what one method gave."""
    typer.echo(
        f"{row.image}, {row.mask}, R {row.acceleration:g}, noise {row.noise_percent:g} %: "
        f"{row.method}: {row.psnr_db:.2f} dB in {row.seconds:.1f} s",
        err=True,
    )


def print_table(rows: "Sequence[KSpaceRow]") -> None:
    """Print the mean PSNR over images, a line a task, as Markdown."""
    from inversesr.benchmarks.kspace import mean_table

    table = mean_table(rows)
    methods = list(dict.fromkeys(row.method for row in rows))
    typer.echo(f"| mask | R | noise | {' | '.join(methods)} |")
    typer.echo(f"|{'---|' * (3 + len(methods))}")
    for mask, acceleration, noise, found in table:
        figures = " | ".join(f"{found[name]:.2f}" for name in methods)
        typer.echo(f"| {mask} | {acceleration:g} | {noise:g} % | {figures} |")
