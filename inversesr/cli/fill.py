"""The command `inversesr fill`: missing or spoilt parts of a scan, generated and marked."""

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
from inversesr.solvers.registry import solver_choices
from inversesr.workflows.fill_choices import FillConfig


@with_options(FillConfig, {"solver": solver_choices()})
def fill(
    scan: Annotated[Path, typer.Argument(metavar="SCAN", help="Scan to fill.")],
    *,
    config: Callable[..., FillConfig],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR|FILE",
            help="Folder, or name of the image to write [default: beside SCAN].",
        ),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Region to generate, such as an artefact.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Generate missing or spoilt slices and regions of SCAN; the rest stays bit by bit."""
    with failing_in_one_sentence():
        choices = config()
        from inversesr.workflows.fill_files import fill_file, record_of

        with progress_bar() as progress:
            filled, files = fill_file(scan, choices, output, mask, force=force, progress=progress)
        warn(filled.result.warnings)
        outputs = files.outputs
        if as_json:
            paths = {name: str(path) for name, path in outputs.files.items()}
            paths |= {f"sample {n}": str(path) for n, path in enumerate(files.samples, start=1)}
            print_json({"outputs": paths, **record_of(filled, scan, mask)})
            return
        typer.echo(f"image:  {outputs.image}")
        for role, path in outputs.maps.items():
            typer.echo(f"{role.replace('_', ' ')}: {path}")
        for path in files.samples:
            typer.echo(f"sample: {path}")
        typer.echo(f"record: {outputs.sidecar}")
        typer.echo(f"report: {outputs.report}")
