"""The command `inversesr bench dwi`: a diffusion series thickened, restored, and compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.output import Output
from inversesr.cli.bench.tables import text

if TYPE_CHECKING:
    from inversesr.benchmarks.dwi import DwiRow


@with_groups
def dwi(
    series: Annotated[
        Path, typer.Argument(metavar="SERIES", help="4D diffusion series of thin slices.")
    ],
    *,
    factor: Annotated[int, typer.Option(min=2, help="Thin slices that make a thick one.")] = 2,
    directions: Annotated[
        int | None, typer.Option(min=1, help="Keep so many weighted volumes [default: all].")
    ] = None,
    lesions: Annotated[
        int, typer.Option(min=0, help="Series with simulated lesions; 0 for none.")
    ] = 0,
    output: Output,
) -> None:
    """Thicken a diffusion series, restore it, compare maps.

    Maps and radiomics are compared with those of the truth. With --lesions, also how well two
    textures of simulated lesions are told apart.
    """
    from inversesr.benchmarks.dwi import compare, measure_maps, measure_radiomics, read_truth
    from inversesr.benchmarks.dwi_lesions import measure_grades

    truth = read_truth(series, directions)
    compared = compare(truth, factor)
    rows = [*measure_maps(compared, factor), *measure_radiomics(compared, factor)]
    if lesions:
        rows += measure_grades(truth, factor, lesions, progress=_tell)
    output.finish(rows, print_rows)


def _tell(done: int, total: int) -> None:
    typer.echo(f"series with lesions: {done} of {total}", err=True)


def print_rows(rows: "Sequence[DwiRow]") -> None:
    """Print one figure a line."""
    for row in rows:
        ends = "" if row.low is None else f"  ({text(row.low, '.3f')} to {text(row.high, '.3f')})"
        truth = "" if row.truth is None else f"  truth {text(row.truth, '.4g')}"
        typer.echo(
            f"{row.part:10s} {row.measure:42s} thick {text(row.thick, '.4g'):>10s}  "
            f"thin {text(row.thin, '.4g'):>10s}{truth}{ends}"
        )
