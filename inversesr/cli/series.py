"""The command `inversesr series`: a 4D series to thinner slices and a finer step in time."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from inversesr.cli.console import (
    Force,
    Json,
    failing_in_one_sentence,
    print_json,
    progress_bar,
    warn,
)
from inversesr.cli.options import with_options
from inversesr.workflows.series.config import SeriesConfig


@with_options(SeriesConfig)
def series(
    scan: Annotated[Path, typer.Argument(metavar="SERIES", help="A 4D NIfTI file.")],
    *,
    config: Callable[..., SeriesConfig],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR|FILE",
            help="Folder, or name of the image to write [default: beside SERIES].",
        ),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Restore thin slices, all of one time, and finer times from a 4D SERIES (fMRI, perfusion).

    An interrupted run goes on where it was when it is called again.
    """
    with failing_in_one_sentence():
        choices = config()
        from inversesr.workflows.series.run import run_series

        with progress_bar() as progress:
            result = run_series(scan, choices, output, force=force, progress=progress)
        warn(result.warnings)
        if as_json:
            paths = {name: str(path) for name, path in result.outputs.items()}
            print_json({"outputs": paths, **result.record})
            return
        record, tsnr = result.record, result.record["tsnr"]
        size = " x ".join(str(n) for n in record["output"]["shape"])
        spacing = " x ".join(f"{s:.3g}" for s in record["output"]["spacing_mm"])
        step = record["RepetitionTime"]
        typer.echo(f"image:  {result.outputs['image']}  ({size}, {spacing} mm, {step:g} s)")
        typer.echo(f"motion: {result.outputs['motion']}")
        typer.echo(f"record: {result.outputs['sidecar']}")
        typer.echo(f"report: {result.outputs['report']}")
        typer.echo(
            f"median tSNR in the head: {tsnr['measured']:.1f} measured, "
            f"{tsnr['restored']:.1f} restored"
        )
