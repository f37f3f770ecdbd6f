"""What a connection may cost, and that it is closed: hooks into sockets of pynetdicom.

pynetdicom reads whatever length is announced, waits for it without a limit, and does not close a
socket whose other end is gone.
"""

import socket
from contextlib import suppress
from typing import Any

SILENCE_S = 60.0
# a request for an association may be longer than what is allowed later on; none is this long
MOST_PDU_BYTES, MOST_INSTANCE_BYTES = 1 << 20, 1 << 30


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
