"""With TLS nobody is understood who does not speak it, and a silent caller holds nobody up."""

import shutil
import socket
import ssl
import subprocess

import pytest

from inversesr.errors import InputError
from inversesr.node.completeness import Stillness
from inversesr.node.peers import read_caller
from inversesr.node.receiver import Reception, start_server
from inversesr.node.settings import ListenConfig
from inversesr.node.tls import client_context, server_context
from tests.support.nodes import HERE, free_port, send, small_head

pytestmark = [
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl"),
    pytest.mark.usefixtures("sockets"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """Certificate and key of this machine, and of a stranger."""
    folder = tmp_path_factory.mktemp("pem")
    for name in ("own", "stranger"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-days", "2",
             "-addext", f"subjectAltName=IP:{HERE}", "-keyout", f"{folder}/{name}.key",
             "-out", f"{folder}/{name}.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
    return folder


def files(pem, name="own", ca="own"):
    return {"tls_cert": f"{pem}/{name}.pem", "tls_key": f"{pem}/{name}.key",
            "tls_ca": f"{pem}/{ca}.pem"}  # fmt: skip


@pytest.fixture
def port(pem, queue, database):
    """The port of a node that speaks TLS only."""
    port = free_port()
    callers = (read_caller("SCANNER"),)
    reception = Reception(queue, database, callers, "INVERSESR", 0.0, Stillness(), print)
    node = ListenConfig(port=port, **files(pem))
    server = start_server(node, reception, server_context(node, 5.0))
    yield port
    server.shutdown()


def client(pem, name):
    context = client_context(ListenConfig(forward_tls=True, **files(pem, name)))
    return context, HERE


def test_only_who_shows_a_trusted_certificate_is_let_in(port, pem, database):
    silent = socket.create_connection((HERE, port), 5)
    assert send(port, small_head(2), tls=client(pem, "own")) == [0, 0]
    assert send(port, small_head(2), tls=client(pem, "stranger")) is None
    assert send(port, small_head(2)) is None
    silent.close()
    assert len(database.rows("SELECT * FROM instance")) == 2


def test_a_caller_without_a_certificate_is_not_let_in(port, pem, database):
    context = client_context(ListenConfig(forward_tls=True, tls_ca=f"{pem}/own.pem"))
    assert send(port, small_head(2), tls=(context, HERE)) is None
    assert database.rows("SELECT * FROM instance") == []


def test_without_files_there_is_no_tls():
    assert server_context(ListenConfig(), 5.0) is None
    assert client_context(ListenConfig()) is None


def test_old_versions_are_not_spoken(pem):
    context = client_context(ListenConfig(forward_tls=True, **files(pem)))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_files_that_cannot_be_used_are_named(pem, tmp_path):
    wrong = {**files(pem), "tls_key": f"{pem}/stranger.key"}
    for choices in (wrong, {**wrong, "tls_key": str(tmp_path / "missing.pem")}):
        with pytest.raises(InputError, match="TLS cannot be set up with"):
            server_context(ListenConfig(**choices), 5.0)
