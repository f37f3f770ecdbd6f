"""The command `inversesr bench lesions`: what becomes of lesions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import (
    PICTURE_HELP,
    Images,
    Slices,
    SolverChoice,
    given_or_template,
)
from inversesr.cli.bench.output import Output
from inversesr.cli.bench.tables import text, wide_console
from inversesr.solvers.registry import BASELINE_NAME, DEFAULT_NAME, FALLBACK_NAME

if TYPE_CHECKING:
    from inversesr.benchmarks.lesion_rows import LesionRow

COLUMNS = (
    "lesions", "solver", "kept, %", "of", "not\nmeasured", "contrast\nin the slices",
    "found", "by spline", "invented", "not in\nspline", "ghosts",
)  # fmt: skip


@dataclass(frozen=True)
class Lesions:
    """What is put in, and what is tried besides."""

    cases: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Put in so many lesions, of all sizes, kinds, contrasts and places [default: all "
            "52 combinations].",
        ),
    ] = None
    protect: Annotated[
        bool,
        typer.Option(
            "--protect",
            help="Measure solvers with a prior also with the lesions excluded from it.",
        ),
    ] = False
    picture: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help=PICTURE_HELP),
    ] = None


@with_groups
def lesions(
    *,
    images: Images,
    chosen: SolverChoice,
    slices: Slices,
    wanted: Lesions,
    output: Output,
) -> None:
    """Count the lesions that restoring keeps, misses or invents.

    They are put into heads before these are thickened, by default to slices of 5 mm: bright, dark
    and rim-like ones of 2 to 20 mm. Every head is restored without them too: nothing there may
    look like a lesion.
    """
    setup, tasks = chosen.setup(images.crop), slices.tasks(chosen.seed, (5.0,))
    names = chosen.names or [BASELINE_NAME, FALLBACK_NAME, DEFAULT_NAME]
    from inversesr.benchmarks.lesion_picture import Strip
    from inversesr.benchmarks.lesions import Study, measure_lesions

    strip = Strip(wanted.picture) if wanted.picture else None
    look = strip.look if strip else (lambda _seen: None)
    study = Study(tasks, names, setup, wanted.cases, wanted.protect)
    with given_or_template(images.truths) as truths:
        rows = measure_lesions(truths, study, output.keeping(tell_lesion), look)
    if strip:
        strip.write()
    output.finish(rows, print_lesions)


def tell_lesion(row: "LesionRow") -> None:
    """Say on standard error what became of a lesion."""
    if not row.placement:
        return
    lesion = f"{row.kind} {row.diameter_mm:g} mm, contrast {row.contrast:g}, {row.placement}"
    found = f"{text(row.found, '.2f')} found of {text(row.measured, '.2f')} in the slices"
    typer.echo(f"{row.image}, {row.task}: {row.name}: {lesion}: {row.outcome}, {found}", err=True)


def print_lesions(rows: "Sequence[LesionRow]") -> None:
    """Print what became of the lesions, by size, contrast, kind and place."""
    from rich.table import Table

    from inversesr.benchmarks.lesion_rows import summarise_lesions

    console = wide_console()
    for task in dict.fromkeys(row.task for row in rows):
        table = Table(title=task, title_justify="left")
        for n, name in enumerate(COLUMNS):
            table.add_column(name, justify="left" if n < 2 else "right", no_wrap=True)
        for cell in summarise_lesions([row for row in rows if row.task == task]):
            table.add_row(
                cell.group,
                cell.name,
                text(cell.kept_percent, ".1f"),
                str(cell.n_measured),
                str(cell.n_not_measured),
                *(text(value, ".2f") for value in (cell.measured, cell.found, cell.by_spline)),
                *(str(n) for n in (cell.n_invented, cell.n_invented_alone, cell.n_ghosts)),
            )
        console.print(table)
