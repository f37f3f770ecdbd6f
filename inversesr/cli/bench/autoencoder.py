"""The command `inversesr bench autoencoder`: what a prior's autoencoder keeps of an image."""

from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import Truths, given_or_template
from inversesr.cli.bench.output import Output
from inversesr.config import BUILTIN_PRIOR

if TYPE_CHECKING:
    from inversesr.benchmarks.autoencoder import Reconstruction


@with_groups
def autoencoder(
    *,
    truths: Truths = None,
    prior: Annotated[str, typer.Option(metavar="NAME|DIR", help="The prior.")] = BUILTIN_PRIOR,
    output: Output,
) -> None:
    """Measure what a prior's autoencoder keeps of an image.

    Images are encoded and decoded in their own voxels: PSNR and times.
    """
    from inversesr.benchmarks.autoencoder import measure_reconstruction

    show = output.unless_json(print_reconstruction)
    with given_or_template(truths) as images:
        output.finish(measure_reconstruction(images, prior, show))


def print_reconstruction(row: "Reconstruction") -> None:
    """Print how well one image survived encoding and decoding."""
    typer.echo(
        f"{row.image:32s} PSNR {row.psnr_db:5.2f} dB  encode {row.encode_seconds:5.1f} s  "
        f"decode {row.decode_seconds:5.1f} s  {row.n_voxels / 1e6:5.1f} M voxels"
    )
