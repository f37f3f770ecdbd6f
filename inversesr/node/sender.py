"""Sends results to the archive until it has confirmed each of their instances.

Sending an instance twice does no harm: its UID follows from what it was made from.

Reference: DICOM PS3.4 2024, B.2.3: statuses 0xBnnn are warnings, the instance is stored.
"""

import shutil
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from pynetdicom import AE, evt

from inversesr.node.backoff import BackOff
from inversesr.node.connections import close_wholly
from inversesr.node.database import Database
from inversesr.node.outgoing import Outgoing, confirmed, lost, pending, refused
from inversesr.node.peers import Destination
from inversesr.node.settings import ListenConfig

SUCCESS, WARNING, OUT_OF_RESOURCES = 0x0000, 0xB000, 0xA700
WARNINGS, NO_ROOM = (
    range(WARNING, WARNING + 0x1000),
    range(OUT_OF_RESOURCES, OUT_OF_RESOURCES + 256),
)
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
ANSWER_S = 60.0
# by what the back-off knows the archive, no series has this key
ARCHIVE = "the archive"


@dataclass(frozen=True, eq=False)
class Dispatch:
    """What is needed to send results.

    Attributes:
        folder: Folder of the queue.
        database: Its database.
        node: Choices of the node.
        destination: Where results go.
        tls: How the archive is spoken to; None without TLS.
        waits: The archive, and series, that wait for another try.
        tell: Writes a line of the log.
    """

    folder: Path
    database: Database
    node: ListenConfig
    destination: Destination
    tls: ssl.SSLContext | None
    waits: BackOff
    tell: Callable[[str], None]


def send_once(dispatch: Dispatch, stop: Event) -> bool:
    """Send what can be sent now; False where there is nothing, or the archive is waited for.

    Args:
        dispatch: What is needed.
        stop: Ends it, when it is set, after the present instance.
    """
    waiting = dispatch.waits.waiting()
    if ARCHIVE in waiting:
        return False
    files = pending(dispatch.database, {str(key) for key in waiting})
    if not files:
        return False
    association = _associate(dispatch)
    if not association.is_established:
        _wait(dispatch, "it does not answer, or rejects this node")
        return False
    try:
        for one in files:
            if stop.is_set():
                return False
            if not _send(dispatch, association, one):
                return False
    finally:
        if association.is_established:
            association.release()
    return True


def _associate(dispatch: Dispatch) -> Any:  # noqa: ANN401 (of pynetdicom)
    ae = AE(ae_title=dispatch.node.aet)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_S
    ae.add_requested_context(MR_IMAGE, SYNTAXES)
    to = dispatch.destination
    tls = None if dispatch.tls is None else (dispatch.tls, to.host)
    opened: list[Any] = [(evt.EVT_CONN_OPEN, close_wholly)]
    return ae.associate(to.host, to.port, ae_title=to.title, tls_args=tls, evt_handlers=opened)


def _send(dispatch: Dispatch, association: Any, one: Outgoing) -> bool:  # noqa: ANN401
    """Send one instance; False where no more can be sent now."""
    file = dispatch.folder / one.file
    if not file.is_file():
        # its outcome too, so that it is made again
        shutil.rmtree(dispatch.folder / Path(*Path(one.file).parts[:2]), ignore_errors=True)
        lost(dispatch.database, one)
        dispatch.tell(f"{one.series}: its result is not on the disk any more: it is made again")
        return False
    try:
        answer = association.send_c_store(file)
    except (ValueError, RuntimeError, AttributeError) as error:
        return _refuse(dispatch, one, f"it does not take MR images ({type(error).__name__})")
    status = answer.get("Status") if answer else None
    if status is None:
        _wait(dispatch, "the connection was lost")
        return False
    if status in NO_ROOM:
        _wait(dispatch, f"it has no room (status 0x{status:04X})")
        return False
    if status != SUCCESS and status not in WARNINGS:
        return _refuse(dispatch, one, f"it answers with status 0x{status:04X}")
    dispatch.waits.succeeded(ARCHIVE)
    if confirmed(dispatch.database, one):
        dispatch.waits.succeeded(one.series)
        dispatch.tell(f"{one.series}: done, its result is stored by {dispatch.destination.title}")
    return True


def _wait(dispatch: Dispatch, why: str) -> None:
    wait = dispatch.waits.failed(ARCHIVE)
    dispatch.tell(f"{dispatch.destination}: {why}: tried again in {wait:.0f} s")


def _refuse(dispatch: Dispatch, one: Outgoing, why: str) -> bool:
    """Note that an instance is refused: its series waits, the others go on."""
    wait = dispatch.waits.failed(one.series)
    reason = f"{dispatch.destination.title} refuses the result: {why}"
    if refused(dispatch.database, one, reason, dispatch.node.tries):
        dispatch.waits.succeeded(one.series)
        dispatch.tell(f"{one.series}: set aside after {dispatch.node.tries} tries: {reason}")
    else:
        dispatch.tell(f"{one.series}: {reason}: tried again in {wait:.0f} s")
    return False
