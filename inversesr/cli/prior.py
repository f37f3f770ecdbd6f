"""The commands `inversesr prior ...`: which priors there are, and bringing new ones."""

from pathlib import Path
from typing import Annotated, Any

import typer

from inversesr.cli.console import (
    Force,
    Json,
    failing_in_one_sentence,
    print_json,
    progress_bar,
    training_bar,
    warn,
)
from inversesr.config import AUTOMATIC, DEVICE_NAMES

app = typer.Typer(
    help="List, inspect, show, verify, import, fetch and train priors.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(metavar="NAME|DIR", help="An installed prior, or a folder.")]


@app.command("list")
def list_command(*, as_json: Json = False) -> None:
    """List the priors that are installed, and how to get the others."""
    with failing_in_one_sentence():
        from inversesr.priors.catalogue import list_priors

        priors = list_priors()
        if as_json:
            print_json(
                {"priors": [{"name": p.name, "usable": p.usable, "note": p.note} for p in priors]}
            )
            return
        for prior in priors:
            mark = "usable " if prior.usable else "missing"
            typer.echo(f"{prior.name:12s} {mark} {prior.note}")


@app.command()
def info(prior: Name) -> None:
    """Print the card of a prior, as JSON."""
    with failing_in_one_sentence():
        from inversesr.priors.catalogue import describe_prior

        print_json(describe_prior(prior))


@app.command()
def verify(prior: Name) -> None:
    """Check size, hash, tensor names and shapes of a prior's files."""
    with failing_in_one_sentence():
        from inversesr.priors.catalogue import verify_prior

        for sentence in verify_prior(prior):
            typer.echo(sentence)


@app.command()
def show(
    prior: Name,
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the pictures.")
    ],
    image: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Thin-slice image [default: the MNI152 template]."),
    ] = None,
    samples: Annotated[int, typer.Option(min=0, help="Samples drawn by the denoiser.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    force: Force = False,
) -> None:
    """Draw samples of a prior, and an image with its reconstruction, as PNG."""
    with failing_in_one_sentence():
        from contextlib import nullcontext

        from inversesr.io.atomic import check_output
        from inversesr.io.nifti import read_scan
        from inversesr.report.prior_pictures import RECONSTRUCTION_NAME, SAMPLES_NAME, show_prior
        from inversesr.workflows.demo import demo_head

        names = (RECONSTRUCTION_NAME, *([SAMPLES_NAME] if samples else []))
        check_output([output / name for name in names], force=force)
        with nullcontext(image) if image else demo_head() as path:
            head = read_scan(path).volume
        with progress_bar() as progress:
            drawn = show_prior(str(prior), head, output, samples, seed, progress)
        for file in drawn.files:
            typer.echo(f"picture: {file}")
        typer.echo(f"reconstruction error (rms, of 1): {drawn.rmse:.4f}")


@app.command("import")
def import_command(
    source: Annotated[Path, typer.Argument(help="Folder or zip file of published weights.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="Name to install it under [default: its own].")
    ] = None,
    published: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="MODEL",
            help="Which published model the files are, such as brlp; an unknown name lists all "
            "[default: as prior.json beside them says, else by their names].",
        ),
    ] = None,
    trust_pickle: Annotated[
        bool,
        typer.Option(
            "--trust-pickle", help="Also read pickled modules; only for a source that you trust."
        ),
    ] = False,
    force: Force = False,
) -> None:
    """Convert foreign weights (MONAI, generative, InverseSR, mlflow) into an installed prior."""
    with failing_in_one_sentence():
        from inversesr.priors.conversion.checkpoints import import_prior
        from inversesr.priors.published import published_prior
        from inversesr.priors.store import folder_of

        folder = None if name is None else folder_of(name)
        known = None if published is None else published_prior(published).card
        card = import_prior(source, folder, trust_pickle=trust_pickle, card=known, force=force)
        typer.echo(f"installed {card.name} {card.version} ({card.licence}): {card.intended_use}")


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="Name of a public prior.")]) -> None:
    """Download a public prior, verify it and install it; the only command that uses a network."""
    with failing_in_one_sentence():
        from inversesr.priors.catalogue import fetch_prior

        card = fetch_prior(name)
        typer.echo(f"installed {card.name} {card.version} ({card.licence}): {card.intended_use}")


@app.command()
def pack(
    data: Annotated[list[Path], typer.Option(metavar="DIR...", help="Folders of NIfTI scans.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The file, NAME.pack.")
    ] = Path("train.pack"),
    bits: Annotated[int, typer.Option(help="Bits kept of an intensity, 4 to 8.")] = 6,
    more: Annotated[list[Path] | None, typer.Argument(metavar="DIR...", hidden=True)] = None,
) -> None:
    """Pack scans into one small file, which `prior train --data` takes like a folder."""
    with failing_in_one_sentence():
        from inversesr.training.packed import check_pack, write_pack
        from inversesr.training.scans import find_scans, read_scan

        check_pack(output, bits)
        paths = find_scans((*data, *(more or [])))
        size = write_pack((read_scan(path) for path in paths), output, bits)
        typer.echo(f"{output}: {len(paths)} scans, {size / 1e6:.1f} MB")


@app.command()
def align(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Folders of brains without skull, and label maps."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the aligned brains.")
    ],
    template: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Brain in the wanted pose, or a folder of aligned brains, whose mean is taken "
            "[default: the MNI152 template].",
        ),
    ] = None,
) -> None:
    """Bring brains into one pose, to train a whole-brain prior on them (`whole-denoiser`)."""
    with failing_in_one_sentence():
        from contextlib import nullcontext

        from inversesr.training.aligned_files import align_files
        from inversesr.workflows.demo import demo_head

        with nullcontext(template) if template else demo_head() as wanted:
            for brain, file in align_files(data, wanted, output):
                told = "already there" if brain is None else f"correlation {brain.quality:.2f}"
                typer.echo(f"{file.name}: {told}")


@app.command("mean-brain")
def mean_brain(
    data: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Folders of label maps from `prior align`."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="File to write, .npz.")
    ],
) -> None:
    """Make the mean brain by tissue, with which `run` compares scans, from aligned label maps."""
    with failing_in_one_sentence():
        from inversesr.training.tissue_template import write_template

        typer.echo(f"mean of {write_template(data, output)} label maps: {output}")


@app.command()
def train(  # noqa: PLR0913  (one argument a flag)
    stage: Annotated[
        str,
        typer.Argument(
            metavar="STAGE",
            help="unet, conditional, error, autoencoder, denoiser, image-denoiser, "
            "whole-autoencoder, whole-denoiser, brainmask or export.",
        ),
    ],
    more: Annotated[list[Path] | None, typer.Argument(metavar="DIR...", hidden=True)] = None,
    *,
    data: Annotated[
        list[Path] | None, typer.Option(metavar="DIR...", help="Folders of NIfTI scans.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings of the stage, JSON or TOML.")
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder that holds all stages.")
    ] = Path("runs"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(metavar="NAME|DIR", help="A prior whose network to train further."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="Training time in minutes [default: a number of steps]."),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="|".join(DEVICE_NAMES), help="Where to train.")
    ] = AUTOMATIC,
) -> None:
    """Train one stage of a prior on your own scans; `export` assembles the trained stages."""
    with failing_in_one_sentence():
        from inversesr.training.settings import read_settings

        stage = _present_stage(stage)
        folders = (*(data or []), *(more or []))
        settings = read_settings(config) if config else {}
        if stage == "export":
            _export(output, folders, settings)
            return
        from inversesr.training.distributed import joined, rank
        from inversesr.training.stages import TrainingRequest, train_stage

        request = TrainingRequest(stage, folders, output, settings, minutes, resume, start, device)
        with joined():
            with training_bar(stage) as watch:
                trained = train_stage(request, watch if rank() == 0 else None)
            if rank() == 0:
                typer.echo(f"trained {stage}: {trained}")


def _present_stage(stage: str) -> str:
    """Return the present name of a stage, with a warning where it was an earlier one."""
    from inversesr.priors.old_names import ROLES

    if stage not in ROLES:
        return stage
    told = f"the stage {stage!r} is now {ROLES[stage]!r}"
    warn((f"{told}; the old name will not be known in the next version",))
    return ROLES[stage]


def _export(run_dir: Path, data_dirs: tuple[Path, ...], settings: dict[str, Any]) -> None:
    """Write the prior of a run into the folder `prior` beside its stages."""
    from inversesr.training.export import ExportConfig, export_prior
    from inversesr.training.settings import configure

    config = configure(ExportConfig(), settings, "export")
    card = export_prior(run_dir, data_dirs, config, run_dir / "prior")
    size = sum(entry.size for entry in card.files.values()) / 1e6
    typer.echo(f"prior {card.name!r} of {', '.join(card.networks)}: {run_dir / 'prior'}")
    rmse = card.reconstruction_rmse
    measured = "not measured" if rmse is None else f"{rmse:.4f}"
    typer.echo(f"{size:.1f} MB, reconstruction error (rms, of 1) {measured}")
