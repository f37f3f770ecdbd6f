"""The command `inversesr listen`: a DICOM node."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.console import Json, failing_in_one_sentence, print_json
from inversesr.cli.options import with_options
from inversesr.config import Config
from inversesr.node.settings import ListenConfig
from inversesr.solvers.registry import solver_choices

if TYPE_CHECKING:
    from inversesr.node.health import Status


@with_options(ListenConfig, name="node")
@with_options(Config, {"solver": solver_choices()})
def listen(
    *,
    node: Callable[..., ListenConfig],
    config: Callable[..., Config],
    queue: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder of the queue; made if need be."),
    ],
    status: Annotated[
        bool,
        typer.Option("--status", help="Say how the node of this queue is; exit status 0 if well."),
    ] = False,
    release: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|all",
            help="Try series again that were set aside, when the node is next started.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Receive MR series by DICOM, restore each, and send the results on."""
    with failing_in_one_sentence():
        choices, of_node = config(), node()
        if status:
            from inversesr.node.health import read_status

            _show(read_status(queue), as_json=as_json)
            return
        from inversesr.node.service import release_series, serve

        if release is not None:
            for key in release_series(queue, release):
                typer.echo(f"{key} is tried again when the node is started")
            return
        with _stopped_by_signals() as (stop, signals):
            serve(of_node, choices, queue, _log, stop)
        if signal.SIGINT in signals:
            raise typer.Exit(130)


@contextmanager
def _stopped_by_signals() -> Iterator[tuple[Event, list[int]]]:
    """Give an event that SIGTERM and SIGINT set, and which of them came."""
    stop: Event = Event()
    signals: list[int] = []

    def end(number: int, _frame: object) -> None:
        signals.append(number)
        stop.set()

    before = {n: signal.signal(n, end) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop, signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log(line: str) -> None:
    """Write a line of the log: the time of day and what happened, never to whom."""
    typer.echo(f"{time.strftime('%H:%M:%S')} {line}", err=True)


def _show(found: "Status", *, as_json: bool) -> None:
    if as_json:
        print_json({"is_running": found.is_running, "is_well": found.is_well, **found.told})
    else:
        state = "well" if found.is_well else "running, but not well" if found.is_running else "off"
        typer.echo(f"node: {state}")
        counts = ", ".join(f"{n} {name}" for name, n in found.told["series"].items() if n)
        typer.echo(f"series: {counts or 'none'}")
        typer.echo(f"instances: {found.told['instances']}; to send: {found.told['to_send']}")
        for name, title in (("set_aside", "set aside"), ("not_restored", "not restored")):
            for one in found.told[name]:
                typer.echo(f"{title}: {one['series']}: {one['reason']}")
    if not found.is_well:
        raise typer.Exit(1)
