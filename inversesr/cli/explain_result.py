"""The command `inversesr explain`: what of a result the data determine, and what the prior."""

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


def explain(  # noqa: PLR0913 (one argument a flag)
    result: Annotated[
        Path,
        typer.Argument(metavar="RESULT", help="Image or record that `inversesr run` wrote."),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder [default: beside RESULT]."),
    ] = None,
    scan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The scan [default: by its name beside RESULT, in the folder above, or here].",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The brain [default: found, or the whole head]."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Label map whose regions are told apart."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of the posterior samples [default: that of the run]."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor threads [default: all].")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Tell what of RESULT the scan determines, what the prior adds, and what is left open."""
    with failing_in_one_sentence():
        from inversesr.report.explain import percent
        from inversesr.workflows.explain import ExplainInputs, explain_file

        inputs = ExplainInputs(scan, mask, labels, seed, threads)
        with progress_bar() as progress:
            record, files = explain_file(result, inputs, output, force=force, progress=progress)
        if record["not_told"]:
            warn((f"what the scan leaves open is not told: {record['not_told']}",))
        if as_json:
            paths = {"page": files.page, "record": files.record, "measured": files.measured}
            print_json({"outputs": {n: str(p) for n, p in paths.items()}, **record})
            return
        typer.echo(f"page:   {files.page}")
        typer.echo(f"record: {files.record}")
        typer.echo(f"map:    {files.measured}")
        for name, shares in record["regions"].items():
            typer.echo(f"{name}: {percent(shares['detail'])} of the detail was measured")
