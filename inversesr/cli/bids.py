"""The command `inversesr bids`: a BIDS App."""

from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from inversesr.cli.batch import tell
from inversesr.cli.console import Force, Json, failing_in_one_sentence, print_json, warn
from inversesr.cli.executors import (
    ExecutorName,
    ExecutorSet,
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

LISTS = ("--participant-label", "--participant_label", "--session-label", "--session_label")


class Level(StrEnum):
    """Levels of analysis of BIDS Apps."""

    participant = "participant"
    group = "group"


class BidsCommand(TyperCommand):
    """A command that takes labels as BIDS Apps do: `--participant-label 01 02`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 (of typer's click)
        """Repeat an option of labels before each of its values."""
        return super().parse_args(ctx, with_repeated_options(args))


def with_repeated_options(args: list[str]) -> list[str]:
    """Return arguments in which an option of labels stands before each of them."""
    found: list[str] = []
    option, n_values = "", 0
    for argument in args:
        if argument.startswith("-"):
            option, n_values = argument, 0
        elif option in LISTS:
            if n_values:
                found.append(option)
            n_values += 1
        found.append(argument)
    return found


@with_options(Config, {"solver": solver_choices()})
def bids(  # noqa: PLR0913 (one argument a flag)
    dataset: Annotated[Path, typer.Argument(metavar="DIR", help="BIDS dataset.")],
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="Derivative dataset that is written.")
    ],
    level: Annotated[
        Level,
        typer.Argument(
            help="participant restores scans; group makes one table and page of all results."
        ),
    ],
    *,
    config: Callable[..., Config],
    participant_label: Annotated[
        list[str] | None,
        typer.Option(
            "--participant-label",
            "--participant_label",
            metavar="LABEL...",
            help="Only these subjects, with or without sub-.",
        ),
    ] = None,
    session_label: Annotated[
        list[str] | None,
        typer.Option(
            "--session-label",
            "--session_label",
            metavar="LABEL...",
            help="Only these sessions, with or without ses-.",
        ),
    ] = None,
    pattern: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only scans whose path matches; may be repeated."),
    ] = None,
    fuse: Annotated[
        bool,
        typer.Option("--fuse", help="Fuse the scans of one session and contrast into one image."),
    ] = False,
    skip_validation: Annotated[
        bool,
        typer.Option(
            "--skip-bids-validation",
            "--skip_bids_validation",
            help="Do not check the dataset by bids-validator-deno.",
        ),
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            "--n-procs", "--n_procs", "--n-cpus", "--n_cpus", "--jobs", help="Scans at a time."
        ),
    ] = 1,
    executor: ExecutorName = "local",
    executor_set: ExecutorSet = None,
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    tries: Tries = 3,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Restore the scans of a BIDS dataset into a derivative dataset, as a BIDS App."""
    with failing_in_one_sentence():
        choices = config()
        if level is Level.group:
            _gather(output, as_json=as_json)
            return
        from inversesr.workflows.refusals import refuse_ignored

        refuse_ignored(choices)
        from inversesr.workflows.batch import Batch
        from inversesr.workflows.bids import Study, restore_participants, validate

        conditions = conditions_from(jobs, time_limit, memory_limit, tries, executor_set)
        batch = Batch(dataset, output, choices, pattern or (), conditions, force, executor)
        study = Study(batch, participant_label or (), session_label or (), fuse)
        if not skip_validation and (untold := validate(dataset)):
            warn((untold,))
        _end(restore_participants(study, tell), {}, as_json=as_json)


def _gather(output: Path, *, as_json: bool) -> None:
    from inversesr.workflows.group import gather

    group = gather(output)
    files = {"table": str(group.table), "page": str(group.page)}
    _print(group.entries, files, as_json=as_json)


def _end(entries: "list[Entry]", files: dict[str, str], *, as_json: bool) -> None:
    from inversesr.workflows.batch_table import FAILED, REFUSED

    _print(entries, files, as_json=as_json)
    if any(entry.status in (FAILED, REFUSED) for entry in entries):
        raise typer.Exit(1)


def _print(entries: "list[Entry]", files: dict[str, str], *, as_json: bool) -> None:
    from inversesr.workflows.batch_table import count_by_status

    counts = count_by_status(entries)
    if as_json:
        print_json({**files, "counts": counts, "scans": [asdict(entry) for entry in entries]})
        return
    typer.echo(", ".join(f"{n} {status}" for status, n in counts.items()))
    for name, file in files.items():
        typer.echo(f"{name}: {file}")
