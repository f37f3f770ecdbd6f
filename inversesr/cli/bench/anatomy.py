"""The command `inversesr bench anatomy`: are scans of adults told from other images?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import given_or_template
from inversesr.cli.bench.output import Output
from inversesr.cli.bench.tables import text

if TYPE_CHECKING:
    from inversesr.benchmarks.anatomy import AnatomyRow


@with_groups
def anatomy(
    *,
    adults: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="ADULT...",
            help="Scans of adults [default: the MNI152 template of `inversesr demo`].",
        ),
    ] = None,
    other: Annotated[
        list[Path] | None,
        typer.Option("--other", metavar="FILE", help="Another image; may be repeated."),
    ] = None,
    output: Output,
) -> None:
    """Tell scans of adults from other images.

    The score is how much of the contrast the tissues of a mean adult brain explain. Scans of
    adults are judged as they are, and as slices of 4, 6 and 8 mm along the three axes.
    """
    from inversesr.benchmarks.anatomy import measure_anatomy

    with given_or_template(adults) as paths:
        tell = output.keeping(output.unless_json(print_anatomy))
        rows = measure_anatomy(paths, other or [], tell)
    output.finish(rows, print_area)


def print_anatomy(row: "AnatomyRow") -> None:
    """Print what was found of one image."""
    fit = text(row.fit, ".3f") if row.fit is not None else "not judged"
    told = "prior not used" if row.is_strange else ""
    typer.echo(
        f"{row.kind:6s} {row.image:32s} {row.slices:9s} fit {fit:10s} "
        f"size {text(row.size, '.2f'):5s} {row.seconds:4.1f} s  {told}".rstrip()
    )


def print_area(rows: "Sequence[AnatomyRow]") -> None:
    """Print the area under the ROC curve, and how often the prior would not be used."""
    from inversesr.benchmarks.anatomy import ADULT, OTHER, area_under_curve

    for kind in (ADULT, OTHER):
        told = [row.is_strange for row in rows if row.kind == kind]
        if told:
            typer.echo(f"{kind}: prior not used for {sum(told)} of {len(told)}")
    area = area_under_curve(rows)
    if area is not None:
        typer.echo(f"area under the ROC curve {area:.3f}")
