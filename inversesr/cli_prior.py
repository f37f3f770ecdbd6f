"""The commands `inversesr prior ...`: which priors there are, and bringing new ones."""

from pathlib import Path
from typing import Annotated

import typer

from inversesr.cli_output import Json, failing_in_one_sentence, print_json

app = typer.Typer(
    help="List, inspect, verify, import and fetch priors.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(metavar="NAME|DIR", help="An installed prior, or a folder.")]


@app.command("list")
def list_command(*, as_json: Json = False) -> None:
    """List the priors that are usable here, and how to get the others."""
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
    """Print what a prior says of itself, as JSON."""
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


@app.command("import")
def import_command(
    source: Annotated[Path, typer.Argument(help="Folder or zip file of published weights.")],
    *,
    name: Annotated[str, typer.Option(help="Name to install it under.")] = "brain-ldm",
    trust_pickle: Annotated[
        bool,
        typer.Option("--trust-pickle", help="Read pickled modules of a source that you trust."),
    ] = False,
) -> None:
    """Convert foreign weights (MONAI, generative, InverseSR, mlflow) into an installed prior."""
    with failing_in_one_sentence():
        from inversesr.priors.conversion import import_prior
        from inversesr.weights import home

        card = import_prior(source, home() / "priors" / name, trust_pickle=trust_pickle)
        typer.echo(f"installed {card.name} {card.version} ({card.licence}): {card.intended_use}")


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="Name of a public prior.")]) -> None:
    """Download a public prior, verify it and install it; the only command that uses a network."""
    with failing_in_one_sentence():
        from inversesr.priors.catalogue import fetch_prior

        card = fetch_prior(name)
        typer.echo(f"installed {card.name} {card.version} ({card.licence}): {card.intended_use}")
