"""The command `inversesr bench calibration`: coverage of intervals, on crops."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import Images, SolverChoice, given_or_template
from inversesr.cli.bench.output import Output
from inversesr.config import AUTOMATIC, Config
from inversesr.errors import InputError

if TYPE_CHECKING:
    from inversesr.benchmarks.calibration import Coverage


@with_groups
def calibration(
    *,
    images: Images,
    thickness: Annotated[
        list[float] | None,
        typer.Option(metavar="MM", help="Slice thickness; may be repeated [default: 4]."),
    ] = None,
    gap: Annotated[float, typer.Option(metavar="MM", help="Gap between slices.")] = 0.0,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Label map of an image, for coverage by region; one for each image, in order.",
        ),
    ] = None,
    chosen: SolverChoice,
    output: Output,
) -> None:
    """Count how often error intervals hold the truth.

    Those of samples by diffusion, or of the error map where --solver names unet, on crops of
    N x N x N voxels about the middle of the head; N is 48 where --crop is not given.
    """
    config = Config(
        read_one_solver(chosen.names),
        prior=chosen.prior,
        settings=tuple(chosen.settings or ()),
        seed=chosen.seed,
    )
    slices_mm = [(mm, gap) for mm in thickness or [4.0]]
    from inversesr.benchmarks.calibration import CROP_VOXELS, measure_calibration

    tell, crop = output.unless_json(tell_coverage), images.crop or CROP_VOXELS
    with given_or_template(images.truths) as truths:
        rows = measure_calibration(truths, slices_mm, config, tell, crop, labels or ())
    output.finish(rows, print_coverage)


def read_one_solver(names: list[str] | None) -> str:
    """Return the one solver that was named, or "auto".

    Raises:
        InputError: several were named.
    """
    wanted = names or [AUTOMATIC]
    if len(wanted) > 1:
        message = f"{len(wanted)} solvers were named; expected one at a time"
        raise InputError(message)
    return wanted[0]


def tell_coverage(row: "Coverage") -> None:
    """Say on standard error what one crop gave."""
    typer.echo(
        f"{row.image}, {row.thickness_mm:.3g} mm: {row.covered['90%']:.1%} of 90%", err=True
    )


def print_coverage(rows: "Sequence[Coverage]") -> None:
    """Print how often intervals held the truth."""
    for row in rows:
        shares = "  ".join(f"{level} {share:.1%}" for level, share in row.covered.items())
        typer.echo(
            f"{row.image:32s} {row.thickness_mm:4.2f}|{row.gap_mm:.3g} mm  {shares}"
            f"  sd x {row.factor:.3g}, fitted x {row.needed_factor:.3g}"
            f"  rms error {row.rms_error:.4g}, sd {row.rms_sd:.4g}"
            f"  90% width {row.mean_width:.4g}  CRPS {row.crps:.4g}"
        )
        for label, share in sorted(row.regions.items(), key=lambda found: found[1]):
            typer.echo(f"    label {label:5s} 90% interval holds {share:.1%}")
