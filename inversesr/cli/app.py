"""The command line; `cli` and its parts are the only modules that parse arguments or print."""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli import explain as cli_plan
from inversesr.cli import prior as cli_prior
from inversesr.cli.batch import batch
from inversesr.cli.bench.app import app as bench_app
from inversesr.cli.bids import BidsCommand, bids
from inversesr.cli.console import (
    Force,
    Json,
    failing_in_one_sentence,
    print_json,
    progress_bar,
    warn,
)
from inversesr.cli.dwi import app as dwi_app
from inversesr.cli.explain_result import explain
from inversesr.cli.fill import fill
from inversesr.cli.listen import listen
from inversesr.cli.old_names import OldNames
from inversesr.cli.options import with_options
from inversesr.cli.recon import recon
from inversesr.cli.series import series
from inversesr.cli.simulate import simulate
from inversesr.config import Config
from inversesr.solvers.registry import solver_choices

if TYPE_CHECKING:
    from inversesr.result import Result
    from inversesr.workflows.outputs import Outputs

app = typer.Typer(
    cls=OldNames,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help is read by screen readers and comes twice as fast
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(cli_prior.app, name="prior")
app.command()(batch)
app.command(cls=BidsCommand)(bids)
app.command()(listen)
app.command()(fill)
app.command()(series)
app.command()(simulate)
app.command()(recon)
app.command()(explain)
app.add_typer(bench_app, name="bench")
app.add_typer(dwi_app, name="dwi")


@app.command()
@with_options(Config, {"solver": solver_choices()})
def run(  # noqa: PLR0913 (one argument a flag)
    scans: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCAN...", help="One scan, or several of one subject: files, DICOM folders."
        ),
    ],
    *,
    config: Callable[..., Config],
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
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Brain mask, for registration to a fixed prior or of several scans.",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print what would be done, and write nothing.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Restore thin slices from SCAN; several scans are fused in the space of the first."""
    with failing_in_one_sentence():
        choices = config()
        from inversesr.workflows.refusals import refuse_ignored

        refuse_ignored(choices)
        if explain:
            from inversesr.io.dicom.taking import beside, taken_in

            with taken_in(scans, choices.series) as taken:
                images = [one.path for one in taken]
                place = beside(taken[0], output)
                cli_plan.explain(images, choices, place, mask, as_json=as_json)
            return
        from inversesr.workflows.record import provenance
        from inversesr.workflows.run import run_job

        with progress_bar() as progress:
            result, outputs = run_job(scans, choices, output, mask, force=force, progress=progress)
        warn(result.warnings)
        if as_json:
            paths = {name: str(path) for name, path in outputs.files.items()}
            record = provenance(result, [])
            print_json({"outputs": paths, **record})
        else:
            _describe(result, outputs)


@app.command()
def evaluate(
    image: Annotated[Path, typer.Argument(metavar="SR", help="Restored image.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Reference image.")],
    *,
    mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Region to compare [default: the foreground of TRUTH]."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a restored image against the truth: PSNR, SSIM and NMSE inside a mask."""
    with failing_in_one_sentence():
        from inversesr.workflows.files import evaluate_files

        scores = evaluate_files(image, truth, mask)
        warn(scores.warnings)
        if as_json:
            print_json(asdict(scores))
            return
        typer.echo(f"PSNR  {scores.psnr_db:.2f} dB   (data range {scores.data_range:.4g})")
        typer.echo(f"SSIM  {scores.ssim:.4f}")
        typer.echo(f"NMSE  {scores.nmse:.5f}")
        how = "resampled onto the voxels of TRUTH" if scores.resampled else "voxel by voxel"
        typer.echo(f"over {scores.n_voxels} voxels, {how}")


@app.command()
def demo(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR")] = Path("demo"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Restore thick slices simulated from the MNI152 template; write scores and a report."""
    with failing_in_one_sentence():
        from inversesr.workflows.demo import run_demo

        with progress_bar() as progress:
            made = run_demo(output, progress, force=force)
        if as_json:
            print_json(made.as_record())
            return
        typer.echo(f"result: {made.outputs.image}")
        typer.echo(f"report: {made.outputs.report}")
        for solver, scores in made.scores.items():
            typer.echo(f"{solver:9s} PSNR {scores.psnr_db:.2f} dB   SSIM {scores.ssim:.4f}")


@app.command()
def doctor(*, as_json: Json = False) -> None:
    """Check this installation, and print how to put right what is missing."""
    from inversesr.workflows.doctor import examine, verdict

    checks = examine()
    if as_json:
        print_json({"checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            mark = "ok " if check.is_fine else "BAD"
            advice = f"   -> {check.advice}" if check.advice else ""
            typer.echo(f"{mark} {check.name:18s} {check.found}{advice}")
        typer.echo(verdict(checks))
    if not all(check.is_fine for check in checks):
        raise typer.Exit(1)


def _describe(result: "Result", outputs: "Outputs") -> None:
    grid = result.volume.grid
    size = " x ".join(str(n) for n in grid.shape)
    spacing = " x ".join(f"{s:.3g}" for s in grid.spacing_mm)
    typer.echo(f"image:  {outputs.image}  ({size} voxels of {spacing} mm)")
    for role, path in outputs.maps.items():
        typer.echo(f"{role.replace('_', ' ')}: {path}")
    typer.echo(f"record: {outputs.sidecar}")
    typer.echo(f"report: {outputs.report}")
    for source in result.sources:
        share = source.agreement.largest_share
        typer.echo(
            f"{source.scan.name}: differs from the measured slices by at most {share:.2g} "
            "of the intensity range"
        )


def _print_version(is_wanted: bool) -> None:  # noqa: FBT001 (typer calls it)
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"inversesr {version('inversesr')}")
        raise typer.Exit


@app.callback()
def before_a_command(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """Restore thin slices from thick-slice brain MRI. Research use only: not for diagnosis."""


def main() -> None:
    """Run the command line; a broken pipe ends it quietly."""
    # a caller may have closed them; everything that writes expects them to be there
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 (for the whole run)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    try:
        app()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
