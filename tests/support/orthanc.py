"""A real archive: Orthanc, on the loopback, in a folder of a test."""

import json
import shutil
import subprocess
import urllib.request
from contextlib import contextmanager

import pytest

from tests.support.nodes import HERE, free_port, is_open, wait_for

needs_orthanc = pytest.mark.skipif(
    shutil.which("Orthanc") is None, reason="needs Orthanc (Debian: orthanc)"
)


class Orthanc:
    """An archive that runs.

    Attributes:
        port: Of DICOM.
        told: AET@HOST:PORT.
    """

    def __init__(self, port, http):
        self.port, self._http = port, http
        self.told = f"ORTHANC@{HERE}:{port}"

    def get(self, path):
        with urllib.request.urlopen(f"http://{HERE}:{self._http}{path}", timeout=10) as answer:
            return json.load(answer)

    def series(self):
        """Return description -> number of instances of all series."""
        found = [self.get(f"/series/{name}") for name in self.get("/series")]
        return {
            one["MainDicomTags"].get("SeriesDescription", ""): len(one["Instances"])
            for one in found
        }


@contextmanager
def orthanc(folder, modalities):
    """Give an Orthanc that knows others: name -> (AE title, port)."""
    port, http = free_port(), free_port()
    choices = {
        "Name": "test", "StorageDirectory": str(folder), "IndexDirectory": str(folder),
        "DicomAet": "ORTHANC", "DicomPort": port, "DicomCheckCalledAet": True,
        "HttpPort": http, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "DicomModalities": {n: [title, HERE, p] for n, (title, p) in modalities.items()},
        "Plugins": [],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(choices))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log
        )
        try:
            assert wait_for(lambda: is_open(port) and is_open(http), 30)
            yield Orthanc(port, http)
        finally:
            process.terminate()
            process.wait(20)
