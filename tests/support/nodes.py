"""Nodes and archives of tests: on the loopback only, each in a process or thread of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from inversesr.node.connections import close_wholly
from tests.support.dicom import affine_of, slices
from tests.support.heads import head_volume

pynetdicom = pytest.importorskip("pynetdicom", reason="needs the extra [node]")
AE, evt = pynetdicom.AE, pynetdicom.evt
HERE = "127.0.0.1"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
CLOSED = [(evt.EVT_CONN_OPEN, close_wholly)]
ROOT = Path(__file__).parents[2]
AFFINE = affine_of(spacing=(7.2, 7.2, 15.0), turn=(0.1, 0.0, -0.1))


def small_head(n=6, **facts):
    """Return the files of a head of few voxels, as data sets; other facts for another series."""
    data = np.round(head_volume((24, 26, n), folds=4.0).data).astype(np.int16)
    return slices(data, AFFINE, thickness=12.0, **facts)


def free_port():
    with socket.socket() as one:
        one.bind((HERE, 0))
        return one.getsockname()[1]


class Archive:
    """Takes in MR images and notes how often each of them came.

    Attributes:
        answers: SOP Instance UID -> the statuses that are answered before success.
    """

    def __init__(self, port=0, title="PACS", status=0x0000):
        self.port = port or free_port()
        self.title, self.status = title, status
        self.came = {}
        self.series = {}
        self.callers = set()
        self._lock = threading.Lock()
        self._server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        ae = AE(ae_title=self.title)
        ae.require_called_aet = True
        ae.add_supported_context(VERIFICATION)
        ae.add_supported_context(MR_IMAGE, [EXPLICIT])
        self._server = ae.start_server(
            (HERE, self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store), *CLOSED]
        )

    def stop(self):
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _store(self, event):
        dataset = event.dataset
        with self._lock:
            if self.status == 0x0000:
                uid = str(dataset.SOPInstanceUID)
                self.came[uid] = self.came.get(uid, 0) + 1
                self.series.setdefault(str(dataset.SeriesInstanceUID), set()).add(uid)
                self.callers.add(event.assoc.requestor.ae_title)
        return self.status

    @property
    def told(self):
        return f"{self.title}@{HERE}:{self.port}"


def send(port, datasets, *, title="SCANNER", called="INVERSESR", tls=None):
    """Send data sets, and return the statuses; None where the association was rejected."""
    ae = AE(ae_title=title)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = 20
    for kind in {str(one.SOPClassUID) for one in datasets}:
        ae.add_requested_context(kind, EXPLICIT)
    ae.add_requested_context(VERIFICATION)
    association = ae.associate(HERE, port, ae_title=called, tls_args=tls, evt_handlers=CLOSED)
    if not association.is_established:
        return None
    try:
        return [association.send_c_store(one).get("Status") for one in datasets]
    finally:
        association.release()


def node_command(queue, port, *options):
    return [
        sys.executable, "-m", "inversesr", "listen", "--queue", str(queue), "--port", str(port),
        *map(str, options),
    ]  # fmt: skip


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@contextmanager
def node(queue, *options, allow=("SCANNER",), forward="PACS@127.0.0.1:1", log=None, **more):
    """Give the port of a node that runs in a process of its own, and the process.

    Args:
        queue: Its folder.
        options: Further options of the command.
        allow: Who may send.
        forward: Where results go.
        log: File to which its log is appended.
        **more: "port"; anything else is a variable of its environment.
    """
    port = more.pop("port", None) or free_port()
    allowed = [word for one in allow for word in ("--allow", one)]
    command = node_command(
        queue, port, "--forward", forward, *allowed, "--solver", "spline", "--spacing", "7.2",
        "--quiet", "0.5", "--reserve", "0.1", *options,
    )  # fmt: skip
    with Path(log or os.devnull).open("a") as stream:
        process = subprocess.Popen(command, env={**environment(), **more}, cwd=ROOT, stderr=stream)
        try:
            wait_for(lambda: is_open(port) or process.poll() is not None, 30)
            yield port, process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def is_open(port):
    with socket.socket() as one:
        return one.connect_ex((HERE, port)) == 0


def wait_for(condition, seconds=30.0, step=0.1):
    """Wait until a condition holds; return whether it does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(step)
    return bool(condition())


def status_of(queue):
    """Return what `--status --json` says, and its exit status."""
    command = [*node_command(queue, 1), "--status", "--json"]
    ended = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, check=False)
    return json.loads(ended.stdout), ended.returncode
