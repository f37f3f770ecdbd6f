"""Options of commands that restore many scans: by what, how many at a time, which limits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.errors import InputError

if TYPE_CHECKING:
    from inversesr.workflows.executors.protocol import Conditions

Jobs = Annotated[
    int,
    typer.Option(
        help="Number of scans at a time; on this machine its cores are divided among them."
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        metavar="local|dask|slurm",
        help="What carries out the work: processes on this machine, a Dask cluster, or Slurm.",
    ),
]
ExecutorSet = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Option of the executor; may be repeated. dask: scheduler=ADDRESS. slurm: any "
        "option of sbatch, such as partition=long.",
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(metavar="MIN", help="Longest time for one scan, in minutes [default: none]."),
]
MemoryLimit = Annotated[
    float | None,
    typer.Option(metavar="GIB", help="Most memory for one scan, in GiB [default: none]."),
]
Tries = Annotated[
    int, typer.Option(help="How often a scan is tried whose process or machine dies.")
]


def conditions_from(
    jobs: int,
    time_limit: float | None,
    memory_limit: float | None,
    tries: int,
    settings: Sequence[str] | None,
) -> "Conditions":
    """Return what these options ask for.

    Raises:
        InputError: a value is outside its range.
    """
    from inversesr.workflows.executors.protocol import Conditions

    return Conditions(
        jobs,
        None if time_limit is None else 60.0 * time_limit,
        None if memory_limit is None else 2**30 * memory_limit,
        tries,
        dict(map(_setting, settings or ())),
    )


def _setting(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name.strip("-") or name.startswith("-"):
        message = f"--executor-set {text}; expected NAME=VALUE, such as partition=long"
        raise InputError(message)
    return name, value
