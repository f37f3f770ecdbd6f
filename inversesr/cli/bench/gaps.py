"""The command `inversesr bench gaps`: how well missing slices are generated."""

from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import Images, given_or_template, read_solvers
from inversesr.cli.bench.output import Output
from inversesr.cli.bench.tables import text
from inversesr.solvers.registry import DEFAULT_NAME, FALLBACK_NAME

if TYPE_CHECKING:
    from inversesr.benchmarks.gaps import GapRow


@with_groups
def gaps(
    *,
    images: Images,
    solver: Annotated[
        list[str] | None,
        typer.Option(
            help="Solver; may be repeated, or several separated by commas [default: "
            f"{DEFAULT_NAME}, {FALLBACK_NAME}]."
        ),
    ] = None,
    thickness: Annotated[float, typer.Option(metavar="MM", help="Slice thickness.")] = 5.0,
    output: Output,
) -> None:
    """Leave out slices, fill the gaps, and measure PSNR there.

    Scans are simulated. One of four slices is left out, and every second one; interpolation over
    the gap stands beside.
    """
    names = read_solvers(solver) or [DEFAULT_NAME, FALLBACK_NAME]
    task = SimulateConfig(thickness_mm=thickness)
    from inversesr.benchmarks.gaps import measure_gaps

    with given_or_template(images.truths) as truths:
        tell = output.keeping(output.unless_json(print_gap))
        rows = measure_gaps(truths, names, task, images.crop, tell)
    output.finish(rows, lambda _rows: None)


def print_gap(row: "GapRow") -> None:
    """Print what one solver reached."""
    covered = "" if row.covered is None else f"  90 % interval holds {100.0 * row.covered:.0f} %"
    typer.echo(
        f"{row.image:32s} {row.gaps:13s} {row.solver:20s} PSNR {text(row.psnr_db, '6.2f')} dB  "
        f"{row.seconds:6.1f} s{covered}"
    )
