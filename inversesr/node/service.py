"""A node from beginning to end: server, workers and sender in threads, and one loop that watches.

A thread that ends by a fault ends the node: what starts it again finds all on the disk.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from inversesr.config import Config
from inversesr.errors import InputError, InverseSRError
from inversesr.node.arrivals import age, complete, receiving
from inversesr.node.backoff import BackOff
from inversesr.node.child import check_run
from inversesr.node.completeness import Stillness, why_complete
from inversesr.node.database import Database, open_database
from inversesr.node.folder import prepare_folder, sole_user
from inversesr.node.health import BEAT_S, Beat
from inversesr.node.settings import GIB, ListenConfig, check_choices
from inversesr.node.store import adopt, remove
from inversesr.node.works import recover, release
from inversesr.workflows.executors.protocol import failure_from
from inversesr.workflows.worker import end_children, new_process

if TYPE_CHECKING:
    import ssl

STEP_S, IDLE_S, AFTER_FAULT_S, REMOVAL_S = 0.5, 0.3, 5.0, 60.0
HOUR_S = 3600.0
TOO_LITTLE = "pynetdicom is not installed, which listen needs: `pip install 'inversesr[node]'`"
Tell = Callable[[str], None]


def check_installation() -> None:
    """Refuse to go on without the package that speaks DICOM's protocol.

    Raises:
        InverseSRError: it is not installed.
    """
    try:
        import pynetdicom  # noqa: F401 (only whether it is there)
    except ImportError as error:
        raise InverseSRError(TOO_LITTLE) from error


def serve(node: ListenConfig, config: Config, queue: Path, tell: Tell, stop: Event) -> None:
    """Run a node until it is told to stop.

    Args:
        node: Choices of the node.
        config: Choices of every run.
        queue: Folder of the queue; made if need be.
        tell: Writes a line of the log.
        stop: Ends the node when it is set.

    Raises:
        InputError: a choice cannot be used, or another node works with the queue.
        MachineError: the port or the database cannot be used.
        RuntimeError: a part of the node ended by a fault.
    """
    check_choices(node, config)
    check_installation()
    from inversesr.node.connections import SILENCE_S, use_steady_clock
    from inversesr.node.receiver import Reception, start_server
    from inversesr.node.tls import client_context, server_context

    use_steady_clock()
    contexts = server_context(node, SILENCE_S), client_context(node)
    prepare_folder(queue)
    with sole_user(queue), _opened(queue, tell) as database:
        stillness = Stillness()
        reserve = node.reserve_gib * GIB
        reception = Reception(queue, database, node.callers(), node.aet, reserve, stillness, tell)
        parts = Parts(stop, tell)
        server = start_server(node, reception, contexts[0])
        tell(f"{node.aet} listens on {node.bind}, port {node.port}; results go to {node.forward}")
        try:
            _start(parts, node, config, (queue, database), contexts[1])
            _watch(parts, Beat(queue, database, node), stillness)
        finally:
            stop.set()
            server.shutdown()
            end_children()
            parts.wait()
    tell("stopped")


def release_series(queue: Path, wanted: str) -> list[str]:
    """Give series that were set aside another chance, while no node works with the queue.

    Args:
        queue: Folder of the queue.
        wanted: Beginning of the name of a series, or "all".

    Raises:
        InputError: there is none of that name.
    """
    prepare_folder(queue)
    with sole_user(queue):
        database = open_database(queue)
        try:
            keys = release(database, wanted)
        finally:
            database.close()
    if not keys:
        message = f"no series that was set aside begins with {wanted}: see --status"
        raise InputError(message)
    return keys


@contextmanager
def _opened(queue: Path, tell: Tell) -> Iterator[Database]:
    """Open the database, and put right what a node that was killed left."""
    database = open_database(queue)
    try:
        for key in recover(database):
            tell(f"{key}: set aside: the node ended too often while it was worked on")
        n = adopt(queue, database)
        if n:
            tell(f"{n} instances were on the disk and not in the database: they are now")
        yield database
    finally:
        database.close()


@dataclass(eq=False)
class Parts:
    """The threads of a node.

    Attributes:
        stop: Ends all when it is set.
        tell: Writes a line of the log.
    """

    stop: Event
    tell: Tell

    def __post_init__(self) -> None:
        self._threads: list[Thread] = []
        self.faults: list[BaseException] = []

    def start(self, name: str, step: Callable[[], bool], *, once: bool = False) -> None:
        """Take a step again and again, in a thread of its own.

        Args:
            name: Of the thread.
            step: Returns whether there was anything to do.
            once: Whether it is taken once only.
        """
        thread = Thread(target=self._run, args=(step, once), name=name)
        self._threads.append(thread)
        thread.start()

    def _run(self, step: Callable[[], bool], once: bool) -> None:  # noqa: FBT001 (of a thread)
        try:
            while not self.stop.is_set():
                if not self.attempt(step):
                    self.stop.wait(IDLE_S)
                if once:
                    return
        except BaseException as error:  # noqa: BLE001 (told by the loop that watches)
            self.faults.append(error)

    def attempt(self, step: Callable[[], bool]) -> bool:
        """Take a step; a disk that is full or fails is told and waited for."""
        try:
            return step()
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            self.tell(f"the queue cannot be used now ({reason}): tried again")
            self.stop.wait(AFTER_FAULT_S)
            return False

    def wait(self) -> None:
        """Wait until all have ended."""
        for thread in self._threads:
            thread.join()


def _start(
    parts: Parts,
    node: ListenConfig,
    config: Config,
    place: tuple[Path, Database],
    tls: "ssl.SSLContext | None",
) -> None:
    """Start workers and sender, and what checks the choices of the run."""
    from inversesr.node.sender import Dispatch, send_once
    from inversesr.node.worker import Workshop, work_once

    shop = Workshop(*place, node, config, BackOff(), parts.tell)
    dispatch = Dispatch(*place, node, node.destination(), tls, BackOff(), parts.tell)
    parts.start("choices", partial(check_config, config, parts), once=True)
    for n in range(node.jobs):
        parts.start(f"worker {n}", partial(work_once, shop, parts.stop))
    parts.start("sender", partial(send_once, dispatch, parts.stop))


def _watch(parts: Parts, beat: Beat, stillness: Stillness) -> None:
    """Note which series are complete, remove what is done, and tell how the node is.

    Raises:
        RuntimeError: a thread ended by a fault.
    """
    start = time.monotonic()
    last = {"beat": start - BEAT_S, "removal": start}

    def step() -> bool:
        notice_complete(beat.database, stillness, beat.node.quiet_s, parts.tell)
        now = time.monotonic()
        if now - last["removal"] >= REMOVAL_S:
            remove_kept(beat, now - last["removal"], parts.tell)
            last["removal"] = now
        if now - last["beat"] >= BEAT_S:
            beat.write()
            last["beat"] = now
        return True

    while not parts.stop.is_set():
        parts.attempt(step)
        if parts.faults:
            raise _told(parts.faults[0])
        parts.stop.wait(STEP_S)


def _told(fault: BaseException) -> BaseException:
    """Return what ends a node in place of what ended one of its parts."""
    if isinstance(fault, InverseSRError):
        return fault
    told = RuntimeError("a part of the node ended by a fault")
    told.__cause__ = fault
    return told


def check_config(config: Config, parts: Parts) -> bool:
    """Refuse choices of a run that its solver would not heed, and end the thread.

    A process of its own looks: what is loaded for that would stay with the node for months.

    Raises:
        InputError: there is such a choice.
    """
    with new_process() as process:
        failure = failure_from(process.submit(check_run, config))
    if failure is not None and failure.is_unusable:
        raise InputError(failure.sentence)
    if failure is not None and not parts.stop.is_set():
        parts.tell(f"the choices of the run could not be checked: {failure.sentence}")
    return True


def notice_complete(database: Database, stillness: Stillness, quiet_s: float, tell: Tell) -> None:
    """Hand series that are complete to the workers.

    Args:
        database: The queue's.
        stillness: How long each series has been quiet.
        quiet_s: Seconds after which a series is complete.
        tell: Writes a line of the log.
    """
    found = receiving(database)
    stillness.forget_others({series.key for series in found})
    for series in found:
        why = why_complete(series, stillness.seconds(series.key), quiet_s)
        if not why:
            continue
        state = complete(database, series)
        if state != "receiving":
            stillness.forget(series.key)
            told = {"done": ", and its result is stored already"}.get(state, "")
            tell(f"{series.key}: complete with {series.n} instances ({why}){told}")


def remove_kept(beat: Beat, seconds: float, tell: Tell) -> None:
    """Remove series whose result has been stored for long enough."""
    for key in age(beat.database, seconds, beat.node.keep_hours * HOUR_S):
        if remove(beat.folder, beat.database, key):
            tell(f"{key}: removed, its result is stored")
