"""What all commands share: options, progress, warnings, and failing in one sentence."""

import errno
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from inversesr.errors import (
    InputError,
    InverseSRError,
    MachineError,
    OldNameWarning,
    machine_fault,
)
from inversesr.io.json_text import json_text

# Address space that loading the libraries takes: with 1 GiB they say what they lack themselves.
LEAST_ADDRESS_SPACE = 2**30

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Force = Annotated[bool, typer.Option("--force", help="Replace existing results.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="solver.NAME=VALUE",
        help="Option of the solvers; may be repeated.",
    ),
]


@contextmanager
def failing_in_one_sentence() -> Iterator[None]:
    """Turn an expected failure into one sentence and an exit status."""
    try:
        refuse_small_address_space()
        with _telling_old_names(), _interrupted_by_sigterm():
            yield
    except InputError as error:
        typer.echo(f"inversesr: {error}", err=True)
        raise typer.Exit(2) from error
    except InverseSRError as error:
        typer.echo(f"inversesr: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo("inversesr: interrupted", err=True)
        number = signal.SIGTERM if isinstance(error, TerminatedError) else signal.SIGINT
        raise typer.Exit(128 + number) from error
    except BrokenPipeError:
        raise  # the reader went away: `cli.main` ends quietly
    except (MemoryError, RuntimeError, OSError, ImportError) as error:
        fault = machine_fault(error) or (str(error) if isinstance(error, OSError) else "")
        if not fault:
            raise
        is_of_a_name = isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG
        advice = "; give a shorter name" if is_of_a_name else ""
        typer.echo(f"inversesr: {fault}{advice}", err=True)
        raise typer.Exit(2 if is_of_a_name else 1) from error


def refuse_small_address_space() -> None:
    """Refuse to go on where the libraries could not even be loaded.

    With less than that the linear algebra behind numpy waits for ever for its threads.

    Raises:
        MachineError: the limit on the address space of this process is too low.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY and allowed < LEAST_ADDRESS_SPACE:
        message = (
            f"this process may use {allowed / 2**30:.1f} GiB of address space (`ulimit -v`); "
            f"expected at least {LEAST_ADDRESS_SPACE / 2**30:.0f} GiB: raise the limit, or use a "
            "machine with more memory"
        )
        raise MachineError(message)


class TerminatedError(KeyboardInterrupt):
    """An interrupt by SIGTERM, as where the time of a job is over or a machine is shut down."""


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does: nothing half written, no process left."""
    is_ours = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not is_ours or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: object) -> None:
        # what is ending already is not interrupted again
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise TerminatedError

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def _telling_old_names() -> Iterator[None]:
    """Print what is said of names of earlier versions as a warning of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", OldNameWarning)
        others = warnings.showwarning

        def show(message: Any, category: Any, *where: Any, **more: Any) -> None:  # noqa: ANN401
            if issubclass(category, OldNameWarning):
                warn((str(message),))
            else:
                others(message, category, *where, **more)

        warnings.showwarning = show
        yield


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show phases on standard error: a bar with rate and time left where it is a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
    tasks: dict[str, Any] = {}

    def show(phase: str, done: int, total: int) -> None:
        if phase not in tasks:
            tasks[phase] = bar.add_task(phase, total=total)
        bar.update(tasks[phase], completed=done)

    with bar:
        yield show


@contextmanager
def training_bar(stage: str) -> Iterator[Callable[[Any], None]]:
    """Show a training on standard error: its share done, loss, rate and time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%  step {task.fields[step]}"),
        TextColumn("loss {task.fields[loss]:.4g}  {task.fields[rate]:.2f} steps/s"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]:.0f} min left"),
    )
    bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
    blank: dict[str, Any] = {"step": 0, "loss": float("nan"), "rate": 0.0, "left": 0.0}
    task = bar.add_task(stage, total=1.0, **blank)
    first: list[Any] = []

    def show(moment: Any) -> None:  # noqa: ANN401  (training.loop.Moment; needs torch)
        if not first:
            first.append(moment)
        n_steps = moment.step - first[0].step
        minutes = moment.minutes - first[0].minutes
        gained = moment.progress - first[0].progress
        rate = n_steps / (60.0 * minutes) if minutes else 0.0
        left = (1.0 - moment.progress) * minutes / gained if gained else 0.0
        facts = {"step": moment.step, "loss": moment.loss, "rate": rate, "left": left}
        bar.update(task, completed=moment.progress, **facts)

    with bar:
        yield show


def warn(sentences: tuple[str, ...]) -> None:
    """Print warnings on standard error."""
    for warning in sentences:
        typer.echo(f"warning: {warning}", err=True)


def print_json(record: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json_text(record))
