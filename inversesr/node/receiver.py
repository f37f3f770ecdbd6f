"""The DICOM server: C-ECHO, and C-STORE of MR images from those who are on the list.

Nothing of the network is trusted: neither lengths nor titles, UIDs or data sets.

Reference: DICOM PS3.4 2024, B.2.3 (statuses of storage); PS3.7 2024, annex C; PS3.8 2024, 9.3.4
(rejection of associations).
"""

import shutil
import sqlite3
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt

from inversesr.errors import MachineError
from inversesr.node.arrivals import Known
from inversesr.node.completeness import Stillness
from inversesr.node.connections import SILENCE_S, close_wholly, limit
from inversesr.node.database import Database
from inversesr.node.peers import Caller
from inversesr.node.settings import ListenConfig
from inversesr.node.store import MismatchError, UnreadableError, store

SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
ANOTHER_DATA_SET, CANNOT_UNDERSTAND, DUPLICATE = 0xA900, 0xC000, 0x0111
# rejected for good by the user: calling, or called, AE title not recognised
REJECTED_CALLER, REJECTED_CALLED = (1, 1, 3), (1, 1, 7)
VERIFICATION = "1.2.840.10008.1.1"
# MR Image Storage, Enhanced MR Image Storage
STORAGE = ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1")
SYNTAXES = (
    "1.2.840.10008.1.2.1",  # explicit, little endian
    "1.2.840.10008.1.2",  # implicit, little endian
    "1.2.840.10008.1.2.2",  # explicit, big endian
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51",  # JPEG baseline, extended
    "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",  # JPEG lossless
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81",  # JPEG-LS
    "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.5",  # RLE
)  # fmt: skip
MOST_ASSOCIATIONS, MOST_CONNECTIONS = 32, 128
REQUEST_S, AT_ONCE_S = 10.0, 0.1
PDU_BYTES = 128 << 10
LONGEST_TITLE = 16


@dataclass(frozen=True, eq=False)
class Reception:
    """What is needed to take in an instance.

    Attributes:
        folder: Folder of the queue.
        database: Its database.
        callers: Who may send.
        aet: AE title by which the node is called.
        reserve_bytes: What is left free on the disk.
        stillness: Told of every instance.
        tell: Writes a line of the log.
    """

    folder: Path
    database: Database
    callers: tuple[Caller, ...]
    aet: str
    reserve_bytes: float
    stillness: Stillness
    tell: Callable[[str], None]


def start_server(node: ListenConfig, reception: Reception, tls: ssl.SSLContext | None) -> Any:  # noqa: ANN401 (of pynetdicom)
    """Start to listen, in threads; `shutdown()` of what is returned ends it.

    Raises:
        MachineError: the port is taken, or not for this user.
    """
    ae = AE(ae_title=node.aet)
    ae.maximum_associations = MOST_ASSOCIATIONS
    ae.maximum_pdu_size = PDU_BYTES
    ae.acse_timeout = REQUEST_S
    ae.dimse_timeout = ae.network_timeout = SILENCE_S
    ae.add_supported_context(VERIFICATION)
    for kind in STORAGE:
        ae.add_supported_context(kind, list(SYNTAXES))
    handlers: list[Any] = [
        (evt.EVT_CONN_OPEN, _on_connection, [reception]),
        (evt.EVT_REQUESTED, _on_request, [reception]),
        (evt.EVT_C_STORE, _on_store, [reception]),
    ]
    try:
        return ae.start_server(
            (node.bind, node.port), block=False, evt_handlers=handlers, ssl_context=tls
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot listen on {node.bind}, port {node.port} ({reason}): give another --port"
        raise MachineError(message) from error


def _on_connection(event: Any, reception: Reception) -> None:  # noqa: ANN401
    """Set limits on what a connection may cost, before anything is read from it."""
    close_wholly(event)
    limit(event)
    association = event.assoc
    address = association.requestor.address_info.address
    why = ""
    if not any(caller.may_be_at(address) for caller in reception.callers):
        why = "no caller of the list is there"
    elif len(association._server.active_associations) >= MOST_CONNECTIONS:
        why = "there are too many"
    if why:
        reception.tell(f"closed a connection from {address}: {why}")
        association.dul.socket.close()
        association.acse_timeout = AT_ONCE_S


def _on_request(event: Any, reception: Reception) -> None:  # noqa: ANN401
    """Reject whoever is not on the list, and who means another node."""
    association = event.assoc
    request = association.requestor.primitive
    title, called = request.calling_ae_title.strip(), request.called_ae_title.strip()
    address = association.requestor.address_info.address
    if not any(caller.is_it(title, address) for caller in reception.callers):
        reception.tell(f"rejected {shown(title)} at {address}: not on the list of callers")
        _reject(association, REJECTED_CALLER)
    elif called != reception.aet:
        reception.tell(f"rejected {shown(title)} at {address}: it called {shown(called)}")
        _reject(association, REJECTED_CALLED)


def _reject(association: Any, why: tuple[int, int, int]) -> None:  # noqa: ANN401
    association.acse.send_reject(*why)
    association.kill()


def shown(title: str) -> str:
    """Return an AE title that can be printed, whatever was sent."""
    kept = "".join(c for c in title[:LONGEST_TITLE] if c.isascii() and c.isprintable())
    return kept or "an empty title"


def _on_store(event: Any, reception: Reception) -> int:  # noqa: ANN401
    """Take in one instance, and return the status that its sender is told."""
    return take_in(reception, event.encoded_dataset(), str(event.request.AffectedSOPInstanceUID))


def take_in(reception: Reception, content: bytes, announced: str) -> int:
    """Store an instance and return a DICOM status; success means that it is on the disk.

    Args:
        reception: Where to.
        content: The instance as a DICOM file.
        announced: Its SOP Instance UID, as announced.
    """
    try:
        if shutil.disk_usage(reception.folder).free - len(content) < reception.reserve_bytes:
            reception.tell("refused an instance: the disk is nearly full")
            return OUT_OF_RESOURCES
        stored = store(reception.folder, reception.database, content, announced)
    except UnreadableError:
        reception.tell("refused an instance: its header cannot be read, or names no series")
        return CANNOT_UNDERSTAND
    except MismatchError:
        reception.tell("refused an instance: it is another one than was announced")
        return ANOTHER_DATA_SET
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        reception.tell(f"refused an instance: it could not be stored ({reason})")
        return OUT_OF_RESOURCES
    if stored.known is Known.OTHER:
        reception.tell(f"{stored.series}: refused an instance: its UID has another content here")
        return DUPLICATE
    reception.stillness.heard(stored.series)
    return SUCCESS
