"""The command `inversesr recon`: an image out of undersampled k-space."""

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
from inversesr.solvers.kspace.choices import ReconConfig

KSpaceFile = Annotated[
    Path,
    typer.Argument(
        metavar="KSPACE", help="ISMRMRD or fastMRI (.h5), BART (.cfl), .npy, .npz or .mat."
    ),
]
OptionalFile = Path | None


@with_options(ReconConfig)
def recon(  # noqa: PLR0913 (one argument a flag)
    kspace: KSpaceFile,
    *,
    config: Callable[..., ReconConfig],
    output: Annotated[
        OptionalFile,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR|FILE",
            help="Folder, or name of the magnitude to write [default: beside KSPACE].",
        ),
    ] = None,
    mask: Annotated[
        OptionalFile,
        typer.Option(
            metavar="FILE",
            help="Samples to use: along y, over two axes, or over all [default: as the file says, "
            "else those that are not zero].",
        ),
    ] = None,
    maps: Annotated[
        OptionalFile,
        typer.Option(metavar="FILE", help="Coil maps [default: found by ESPIRiT]."),
    ] = None,
    noise_scan: Annotated[
        OptionalFile,
        typer.Option(metavar="FILE", help="Samples without signal [default: as the file has]."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Reconstruct magnitude and phase from Cartesian k-space of one coil or several."""
    with failing_in_one_sentence():
        choices = config()
        from inversesr.workflows.recon import ReconFiles, recon_file

        files = ReconFiles(mask, maps, noise_scan)
        with progress_bar() as progress:
            found, names = recon_file(
                kspace, choices, output, files, force=force, progress=progress
            )
        warn(found.warnings)
        if as_json:
            outputs = {role: str(path) for role, path in names.items()}
            print_json({"outputs": outputs, **found.record})
            return
        data = found.record["data"]
        typer.echo(f"acceleration {data['acceleration']:.3g}, {data['coils']} coils")
        for role, path in names.items():
            typer.echo(f"{role}: {path}")
