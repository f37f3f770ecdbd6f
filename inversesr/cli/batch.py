"""The command `inversesr batch`: all scans of a folder."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.console import Force, Json, failing_in_one_sentence, print_json
from inversesr.cli.executors import (
    ExecutorName,
    ExecutorSet,
    Jobs,
    MemoryLimit,
    TimeLimit,
    Tries,
    conditions_from,
)
from inversesr.cli.options import with_options
from inversesr.config import Config
from inversesr.solvers.registry import solver_choices

if TYPE_CHECKING:
    from inversesr.workflows.batch_table import Entry


@with_options(Config, {"solver": solver_choices()})
def batch(  # noqa: PLR0913 (one argument a flag)
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder of scans or BIDS dataset."),
    ],
    *,
    config: Callable[..., Config],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where results go.")
    ],
    pattern: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="Only scans whose path matches, such as '*_T2w.nii.gz'; may be repeated.",
        ),
    ] = None,
    jobs: Jobs = 1,
    executor: ExecutorName = "local",
    executor_set: ExecutorSet = None,
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    tries: Tries = 3,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Restore every scan in FOLDER, each by itself. Finished scans are skipped."""
    with failing_in_one_sentence():
        choices = config()
        from inversesr.workflows.refusals import refuse_ignored

        refuse_ignored(choices)
        from inversesr.workflows.batch import Batch, run_batch
        from inversesr.workflows.batch_table import FAILED, REFUSED, TABLE_NAME, count_by_status

        conditions = conditions_from(jobs, time_limit, memory_limit, tries, executor_set)
        folders = Batch(folder, output, choices, pattern or (), conditions, force, executor)
        entries = run_batch(folders, tell)
        counts = count_by_status(entries)
        table = output / TABLE_NAME
        if as_json:
            scans = [asdict(entry) for entry in entries]
            print_json({"table": str(table), "counts": counts, "scans": scans})
        else:
            typer.echo(", ".join(f"{n} {status}" for status, n in counts.items()))
            typer.echo(f"table: {table}")
        if FAILED in counts or REFUSED in counts:
            raise typer.Exit(1)


def tell(entry: "Entry", n_done: int, n_all: int) -> None:
    """Say on standard error what became of a scan."""
    told = f": {entry.reason}" if entry.reason else ""
    if entry.n_warnings:
        told = f" with {entry.n_warnings} warning{'s' if entry.n_warnings > 1 else ''}"
    typer.echo(f"{n_done}/{n_all} {entry.scan}: {entry.status}{told}", err=True)
