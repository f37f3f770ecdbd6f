"""The commands `inversesr dwi ...`: diffusion-weighted series, radiomics and a grade model."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from inversesr.cli.console import (
    Force,
    Json,
    failing_in_one_sentence,
    print_json,
    progress_bar,
    warn,
)
from inversesr.cli.options import with_options
from inversesr.dwi.config import DwiConfig

DEFAULT = "run"


class SeriesOrCommand(TyperGroup):
    """`inversesr dwi SCAN` is `inversesr dwi run SCAN`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (of click)
        """Put in the name of the default command where none is given."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=SeriesOrCommand,
    no_args_is_help=True,
    help="Diffusion-weighted series: `inversesr dwi SCAN` restores one; radiomics and a grade "
    "model of its maps.",
    rich_markup_mode=None,
)
grade_app = typer.Typer(
    help="A grade model on a table of features. Research only: not for diagnosis.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(grade_app, name="grade")


@app.command(DEFAULT)
@with_options(DwiConfig)
def run(  # noqa: PLR0913 (one argument a flag)
    scan: Annotated[
        Path,
        typer.Argument(metavar="SCAN", help="4D file of a diffusion series, or a DICOM folder."),
    ],
    *,
    config: Callable[..., DwiConfig],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder [default: beside SCAN]."),
    ] = None,
    bval: Annotated[
        Path | None, typer.Option(metavar="FILE", help="b-values [default: beside SCAN].")
    ] = None,
    bvec: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Directions [default: beside SCAN].")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where maps are fitted [default: the head]."),
    ] = None,
    series: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|UID|TEXT",
            help="Which series of DICOM input [default: the only one that can be restored].",
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Restore thin slices of a diffusion series; write ADC, and MD and FA by dipy."""
    with failing_in_one_sentence():
        choices = config()
        from inversesr.workflows.dwi import DwiInputs, run_dwi

        inputs = DwiInputs(bval, bvec, mask, series)
        with progress_bar() as progress:
            record, outputs = run_dwi(
                scan, choices, inputs, output, force=force, progress=progress
            )
        warn(tuple(record["warnings"]))
        if as_json:
            paths = {name: str(path) for name, path in outputs.files.items()}
            print_json({"outputs": paths, **record})
            return
        for name, path in outputs.files.items():
            typer.echo(f"{name}: {path}")
        share = record["largest_share"]
        typer.echo(f"differs from the measured slices by at most {share:.2g} of the range")


@app.command()
def radiomics(
    maps: Annotated[
        list[Path],
        typer.Argument(metavar="MAP...", help="Maps, such as ADC of thick and of thin slices."),
    ],
    *,
    mask: Annotated[Path, typer.Option(metavar="FILE", help="The region, above 0 inside.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="CSV", help="File to write.")],
    bin_width: Annotated[
        float, typer.Option(help="Width of a grey level, in units of the maps.")
    ] = 7.5e-5,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the IBSI features of a region in each MAP, one row a map."""
    with failing_in_one_sentence():
        from inversesr.workflows.radiomics import radiomics_table

        rows = radiomics_table(maps, mask, output, bin_width, force=force)
        if as_json:
            print_json({"output": str(output), "rows": rows})
            return
        typer.echo(f"{len(rows[0]) - 1} features of {len(rows)} maps: {output}")


@grade_app.command("train")
def grade_train(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE", help="CSV file: columns case, grade (two values), and features."
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL", help="JSON file to write.")
    ] = Path("grade_model.json"),
    permutations: Annotated[int, typer.Option(min=0, help="Permutations of the grades.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train a grade model, judge it by nested cross-validation, and write its card."""
    with failing_in_one_sentence():
        from inversesr.workflows.grade import card_text, train_grade

        record = train_grade(table, output, permutations, seed, force=force)
        if as_json:
            print_json(record)
            return
        typer.echo(card_text(record), nl=False)
        typer.echo(f"model: {output}")


@grade_app.command("predict")
def grade_predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="JSON file of `grade train`.")],
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="CSV file: column case, and features.")
    ],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="CSV", help="File to write.")
    ] = Path("grade_predictions.csv"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Predict the grade of each case of TABLE. Research only: not for diagnosis."""
    with failing_in_one_sentence():
        from inversesr.workflows.grade import predict_grade

        rows = predict_grade(model, table, output, force=force)
        if as_json:
            print_json({"output": str(output), "rows": rows})
            return
        typer.echo(f"{len(rows)} cases: {output}  (research only: not for diagnosis)")
