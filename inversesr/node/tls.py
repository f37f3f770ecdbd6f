"""TLS of a node: who shows which certificate, and handshakes that hold nobody up.

Reference: DICOM PS3.15 2024, B.9 (BCP 195 TLS profile): TLS 1.2 and later.
"""

import ssl
from pathlib import Path
from typing import Any, cast

from inversesr.errors import InputError
from inversesr.node.settings import ListenConfig


class LateHandshake:
    """A context whose handshakes are left to the thread of the connection.

    In the thread that accepts connections, one silent caller would keep all others waiting.
    """

    def __init__(self, context: ssl.SSLContext, timeout_s: float) -> None:
        self._context, self._timeout_s = context, timeout_s

    def wrap_socket(self, connection: Any, *, server_side: bool) -> ssl.SSLSocket:  # noqa: ANN401
        """Return a socket that speaks TLS from its first bytes on."""
        connection.settimeout(self._timeout_s)
        return self._context.wrap_socket(
            connection, server_side=server_side, do_handshake_on_connect=False
        )


def server_context(node: ListenConfig, timeout_s: float) -> ssl.SSLContext | None:
    """Return how callers are spoken to; None without TLS.

    Raises:
        InputError: a file is missing, or is none of its kind.
    """
    if node.tls_cert is None or node.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, node)
    if node.tls_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return cast("ssl.SSLContext", LateHandshake(context, timeout_s))


def client_context(node: ListenConfig) -> ssl.SSLContext | None:
    """Return how the archive is spoken to; None without TLS.

    Raises:
        InputError: a file is missing, or is none of its kind.
    """
    if not node.forward_tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, node)
    return context


def _load(context: ssl.SSLContext, node: ListenConfig) -> None:
    try:
        if node.tls_cert is not None and node.tls_key is not None:
            context.load_cert_chain(Path(node.tls_cert), Path(node.tls_key))
        if node.tls_ca is not None:
            context.load_verify_locations(Path(node.tls_ca))
    except (ssl.SSLError, OSError) as error:
        files = ", ".join(f for f in (node.tls_cert, node.tls_key, node.tls_ca) if f)
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        message = (
            f"TLS cannot be set up with {files} ({reason}): give PEM files that belong together"
        )
        raise InputError(message) from error
