"""Every choice of `inversesr listen` beside those of a run. Imports nothing slow."""

from dataclasses import dataclass

from inversesr.config import Config, check_fields, option
from inversesr.errors import InputError
from inversesr.node.peers import (
    HIGHEST_PORT,
    Caller,
    Destination,
    check_title,
    read_caller,
    read_destination,
)

GIB = 2**30
# Choices of a run that are meant for one scan.
OF_ONE_SCAN = ("series", "volume", "voxel_size", "protect", "missing")


@dataclass(frozen=True)
class ListenConfig:
    """How a node listens, works and sends.

    Raises:
        InputError: a value is outside its range, or is no AE title or address.
    """

    aet: str = option("INVERSESR", "AE title of this node.", unit="NAME")
    port: int = option(11112, "TCP port to listen on.", least=1, most=HIGHEST_PORT)
    bind: str = option(
        "127.0.0.1",
        "Address to listen on; 0.0.0.0 for all addresses of this machine.",
        unit="ADDRESS",
    )
    allow: tuple[str, ...] = option(
        (),
        "Who may send: a calling AE title, alone or with an address or network; may be repeated.",
        unit="AET[@ADDRESS]",
        kind=list[str],
    )
    forward: str | None = option(None, "Where results are sent.", unit="AET@HOST:PORT")
    quiet_s: float = option(
        30.0,
        "A series is complete when nothing came for this time, or when as many instances came as "
        "its header tells.",
        flag="--quiet",
        unit="SECONDS",
        above=0,
    )
    tries: int = option(
        3, "A series whose work fails so often is set aside, and named by --status.", least=1
    )
    limit_minutes: float = option(
        60.0, "Longest time of the work on a series.", flag="--time-limit", unit="MINUTES", above=0
    )
    memory_gib: float = option(
        8.0, "Most memory of the work on a series.", flag="--memory-limit", unit="GIB", above=0
    )
    keep_hours: float = option(
        24.0,
        "A series and its result are removed so long after the archive has confirmed the result.",
        flag="--keep",
        unit="HOURS",
        least=0,
    )
    reserve_gib: float = option(
        2.0,
        "Instances are refused (out of resources) while less than this is free on the disk.",
        flag="--reserve",
        unit="GIB",
        least=0,
    )
    jobs: int = option(1, "Series worked on at a time.", least=1)
    tls_cert: str | None = option(
        None, "Certificate of this node (PEM): callers must speak TLS.", unit="FILE"
    )
    tls_key: str | None = option(None, "Its private key (PEM).", unit="FILE")
    tls_ca: str | None = option(
        None,
        "Certificates (PEM) of whom is trusted: callers must show one signed by these.",
        unit="FILE",
    )
    forward_tls: bool = option(
        False,  # noqa: FBT003
        "Send results by TLS, to a machine that --tls-ca vouches for.",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "allow", tuple(self.allow))
        check_fields(self)
        check_title(self.aet, "--aet")
        if bool(self.tls_cert) != bool(self.tls_key):
            message = "--tls-cert and --tls-key belong together: give both, or neither"
            raise InputError(message)
        if self.forward_tls and not self.tls_ca:
            message = "--forward-tls needs --tls-ca, the certificates of whom is trusted"
            raise InputError(message)
        # told at once, not when somebody calls
        self.callers()
        if self.forward is not None:
            self.destination()

    def callers(self) -> tuple[Caller, ...]:
        """Return who may send.

        Raises:
            InputError: an entry is neither an AE title nor one with an address.
        """
        return tuple(read_caller(told) for told in self.allow)

    def destination(self) -> Destination:
        """Return where results are sent.

        Raises:
            InputError: nothing was given, or nothing that can be read.
        """
        if self.forward is None:
            message = "listen needs --forward AET@HOST:PORT: where results are to be sent"
            raise InputError(message)
        return read_destination(self.forward)


def check_choices(node: ListenConfig, config: Config) -> None:
    """Refuse what a node cannot work with.

    Args:
        node: Choices of the node.
        config: Choices of every run.

    Raises:
        InputError: nobody may send, there is no destination, or a choice is meant for one scan.
    """
    if not node.allow:
        message = "listen needs --allow AET: who may send; nobody else is let in"
        raise InputError(message)
    node.destination()
    given = [name for name in OF_ONE_SCAN if getattr(config, name) is not None]
    if given:
        flag = "--" + given[0].replace("_", "-")
        message = f"{flag} is meant for one scan, a node takes whatever comes: leave it out"
        raise InputError(message)
