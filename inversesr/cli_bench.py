"""The command `inversesr bench`: solvers side by side, and what the networks of a prior cost."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli_output import Json, failing_in_one_sentence, print_json
from inversesr.config import BUILTIN_PRIOR, SimulateConfig

if TYPE_CHECKING:
    from inversesr.benchmark import Row
    from inversesr.benchmark_networks import NetworkCost
    from inversesr.benchmark_prior import Reconstruction


# those that take a minute or two a scan
QUICK_SOLVERS = ("spline", "tv", "warmstart")


def bench(  # noqa: PLR0913 (one argument a flag)
    truths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="TRUTH...", help="Thin-slice images [default: the demo's head]."),
    ] = None,
    *,
    solver: Annotated[
        list[str] | None,
        typer.Option(help="Solver; may be repeated [default: spline, tv, warmstart]."),
    ] = None,
    thickness: Annotated[
        list[float] | None,
        typer.Option(metavar="MM", help="Slice thickness; may be repeated [default: 4]."),
    ] = None,
    profile: Annotated[str, typer.Option(help="Slice profile.")] = "rect",
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Time scans of growing size instead.")
    ] = False,
    networks: Annotated[
        bool,
        typer.Option("--networks", help="Time the networks of the brain LDM, random weights."),
    ] = False,
    reconstruction: Annotated[
        bool,
        typer.Option("--reconstruction", help="Encode and decode by the built-in prior instead."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare solvers on degraded images: quality, seconds and peak memory of each process."""
    with failing_in_one_sentence():
        rows: list[Row] | list[NetworkCost] | list[Reconstruction]
        if reconstruction:
            from inversesr.benchmark_prior import measure_reconstruction

            with _given_or_demo_head(truths) as images:
                rows = measure_reconstruction(
                    images, BUILTIN_PRIOR, _print_nothing if as_json else _print_reconstruction
                )
        elif networks:
            from inversesr.benchmark_networks import measure_networks

            rows = measure_networks(progress=_print_nothing if as_json else _print_cost)
        else:
            from inversesr.benchmark import compare_solvers, measure_scaling

            solvers, show = (
                solver or list(QUICK_SOLVERS),
                _print_nothing if as_json else _print_row,
            )
            tasks = [SimulateConfig(thickness_mm=t, profile=profile) for t in thickness or [4.0]]
            if scaling:
                rows = measure_scaling(solvers, show)
            else:
                with _given_or_demo_head(truths) as images:
                    rows = compare_solvers(images, tasks, solvers, show)
        if as_json:
            print_json({"rows": [asdict(row) for row in rows]})


@contextmanager
def _given_or_demo_head(images: list[Path] | None) -> Iterator[list[Path]]:
    """Give the images named by the user, else the demo's head."""
    if images:
        yield images
        return
    from inversesr.demo import demo_head

    with demo_head() as head:
        yield [head]


def _print_nothing(_row: object) -> None:
    """Keep standard output for the one JSON object."""


def _print_row(row: "Row") -> None:
    typer.echo(
        f"{row.task:42s} {row.solver:9s} PSNR {row.psnr_db:6.2f} dB  SSIM {row.ssim:.4f}  "
        f"residual {row.unlocked:.1e} -> {row.residual:.1e}  {row.n_voxels / 1e6:5.1f} M voxels  "
        f"{row.seconds:6.1f} s (lock {row.lock_seconds:.2f} s)  {row.peak_gib:.2f} GiB"
    )


def _print_cost(cost: "NetworkCost") -> None:
    if cost.seconds is None or cost.peak_gib is None:
        found = cost.note
    else:
        found = f"{cost.seconds:7.1f} s  {cost.peak_gib:5.1f} GiB"
    typer.echo(f"{cost.operation:22s} {cost.variant:6s} {cost.dtype:9s} {found}")


def _print_reconstruction(row: "Reconstruction") -> None:
    typer.echo(
        f"{row.image:32s} PSNR {row.psnr_db:5.2f} dB  encode {row.encode_seconds:5.1f} s  "
        f"decode {row.decode_seconds:5.1f} s  {row.n_voxels / 1e6:5.1f} M voxels"
    )
