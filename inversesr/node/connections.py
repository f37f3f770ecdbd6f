"""What a connection may cost, and that it is closed: hooks into sockets of pynetdicom.

pynetdicom reads whatever length is announced, waits for it without a limit, does not close a
socket whose other end is gone, and tells time by the clock of the day.
"""

import socket
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from pynetdicom import timer

SILENCE_S = 60.0
# a request for an association may be longer than what is allowed later on; none is this long
MOST_PDU_BYTES, MOST_INSTANCE_BYTES = 1 << 20, 1 << 30


def use_steady_clock() -> None:
    """Have timers of pynetdicom tell time by a clock that does not jump.

    Else a clock that is set forward ends all associations, one that is set back none ever.
    """
    clock: Any = SimpleNamespace(time=time.monotonic)
    vars(timer)["time"] = clock


def close_wholly(event: Any) -> None:  # noqa: ANN401 (of pynetdicom)
    """Have the socket of a new connection closed at its end, and not wait for ever.

    Args:
        event: That a connection was opened.
    """
    transport = event.assoc.dul.socket
    connection = transport.socket

    def close() -> None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    transport._shutdown_socket = close
    connection.settimeout(SILENCE_S)


def limit(event: Any) -> None:  # noqa: ANN401
    """Set limits on what is read from a new connection.

    Args:
        event: That a connection was opened.
    """
    association = event.assoc
    transport = association.dul.socket
    read = transport.recv

    def read_within_limits(n_bytes: int) -> Any:  # noqa: ANN401
        message = association.dimse.message
        n_so_far = 0 if message is None else message.data_set.tell()
        if n_bytes > MOST_PDU_BYTES or n_so_far > MOST_INSTANCE_BYTES:
            error = "more was announced than any image needs"
            raise OSError(error)
        return read(n_bytes)

    transport.recv = read_within_limits
