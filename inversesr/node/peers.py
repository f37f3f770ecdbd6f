"""Who may send to a node, and where it sends results: AE titles and addresses.

Reference: DICOM PS3.5 2024, 6.2 (value representation AE); PS3.8 2024, 9.3.2 (association).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from inversesr.errors import InputError

# Printable letters but for the backslash; spaces at either end do not count.
TITLE = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Caller:
    """One entry of the list of those who may send.

    Attributes:
        title: Calling AE title; capitals count.
        network: Where it calls from; None for anywhere.
    """

    title: str
    network: IPv4Network | IPv6Network | None = None

    def is_it(self, title: str, address: str) -> bool:
        """Whether somebody is this caller.

        Args:
            title: Calling AE title, without spaces at its ends.
            address: IP address of the connection.
        """
        return title == self.title and self.may_be_at(address)

    def may_be_at(self, address: str) -> bool:
        """Whether this caller may call from an IP address."""
        return self.network is None or _plain(address) in self.network


@dataclass(frozen=True)
class Destination:
    """Where results are sent.

    Attributes:
        title: Called AE title.
        host: Name or address of the machine.
        port: TCP port.
    """

    title: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


def _plain(address: str) -> Any:  # noqa: ANN401 (an address of either version)
    """Return an address; one of version 4 in the clothes of version 6 is one of version 4."""
    found = ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def check_title(title: str, option: str) -> str:
    """Return an AE title.

    Raises:
        InputError: it is none.
    """
    if not TITLE.fullmatch(title):
        message = (
            f"{option} has the AE title {title!r}; expected 1 to 16 printable letters without "
            "a backslash"
        )
        raise InputError(message)
    return title


def read_caller(told: str) -> Caller:
    """Return what `--allow` names: AET, or AET@ADDRESS with an address or a network.

    Raises:
        InputError: it is none of these.
    """
    title, mark, place = told.rpartition("@")
    if not mark:
        return Caller(check_title(told, "--allow"))
    try:
        network = ip_network(place, strict=False)
    except ValueError as error:
        message = (
            f"--allow is {told}; expected AET, or AET@ADDRESS with an address such as 10.1.2.3 "
            "or a network such as 10.1.2.0/24"
        )
        raise InputError(message) from error
    return Caller(check_title(title, "--allow"), network)


def read_destination(told: str) -> Destination:
    """Return what `--forward` names: AET@HOST:PORT.

    Raises:
        InputError: it is no such thing.
    """
    title, mark, place = told.rpartition("@")
    host, colon, port = place.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) <= HIGHEST_PORT
    if not (mark and colon and host and is_port):
        message = f"--forward is {told}; expected AET@HOST:PORT, such as PACS@10.1.2.3:104"
        raise InputError(message)
    return Destination(check_title(title, "--forward"), host, int(port))
