"""The command `inversesr bench series`: what the restoration of series gains."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import Truths, given_or_template
from inversesr.cli.bench.output import Output

if TYPE_CHECKING:
    from inversesr.benchmarks.series import SeriesRow


@with_groups
def series(  # noqa: PLR0913 (one argument a flag)
    *,
    truths: Truths = None,
    thickness: Annotated[
        list[float] | None,
        typer.Option(metavar="MM", help="Slice thickness; may be repeated [default: 4 and 6]."),
    ] = None,
    volumes: Annotated[int, typer.Option(help="Number of volumes.", min=8)] = 40,
    side: Annotated[int, typer.Option(metavar="N", help="Keep N voxels along each axis.")] = 84,
    temporal: Annotated[str, typer.Option(help="Temporal prior: low-rank, tv or none.")] = "none",
    seed: Annotated[int, typer.Option(help="Seed of noise and solvers.")] = 0,
    output: Output,
) -> None:
    """Measure what restoring 4D series gains over splines.

    In space and in time. Series are simulated: TR 3 s, voxels of 2 mm, motion, noise of 1.5 %, a
    task.
    """
    from inversesr.acquisition.series_simulation import SeriesTask
    from inversesr.benchmarks.series import measure_series
    from inversesr.workflows.series.config import SeriesConfig

    task, choices = SeriesTask(n_volumes=volumes, seed=seed), SeriesConfig(temporal=temporal)
    with given_or_template(truths) as heads:
        rows = measure_series(heads, thickness or (4.0, 6.0), task, choices, side, lambda *_: None)
    output.finish(rows, print_series)


def print_series(rows: "Sequence[SeriesRow]") -> None:
    """Print the figures of each series: baseline, restored."""
    for row in rows:
        typer.echo(f"{row.image}, slices of {row.thickness_mm:g} mm: baseline -> restored")
        for name, was, now, unit in (
            ("at the times of volumes", row.spline_space_db, row.space_db, "dB"),
            ("halfway between volumes", row.spline_time_db, row.time_db, "dB"),
            ("changes, halfway", row.spline_change_db, row.change_db, "dB"),
            ("median tSNR", row.thick_tsnr, row.tsnr, ""),
            ("active voxels found", row.thick_found, row.found, ""),
        ):
            typer.echo(f"  {name:24s} {was:8.2f} -> {now:8.2f} {unit}")
