"""The command `inversesr simulate`: thick slices, or k-space, of a thin-slice image."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.cli.console import Force, Json, failing_in_one_sentence, print_json, warn
from inversesr.cli.options import with_options


@with_options(KSpaceSimulation, name="scanner", without=("noise", "seed", "axis"))
@with_options(SimulateConfig)
def simulate(  # noqa: PLR0913 (one argument a flag)
    thin: Annotated[Path, typer.Argument(metavar="HR", help="Thin-slice image.")],
    *,
    config: Callable[..., SimulateConfig],
    scanner: Callable[..., KSpaceSimulation],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="LR", help="File to write.")],
    kspace: Annotated[
        bool,
        typer.Option(
            "--kspace", help="Write undersampled k-space (.npz) in place of thick slices."
        ),
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a thick-slice scan and its sidecar JSON, or k-space, from a thin-slice image."""
    with failing_in_one_sentence():
        choices = config()
        if kspace:
            from inversesr.workflows.kspace_simulation import simulate_kspace_file

            scan = scanner(noise=choices.noise, seed=choices.seed, axis=choices.axis)
            warn(simulate_kspace_file(thin, output, scan, force=force))
            made, told = asdict(scan), "k-space"
        else:
            from inversesr.workflows.files import simulate_file

            warn(simulate_file(thin, output, choices, force=force))
            made, told = asdict(choices), "thick-slice scan"
        if as_json:
            print_json({"output": str(output), "config": made})
        else:
            typer.echo(f"{told}: {output}")
