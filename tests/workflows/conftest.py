"""What tests of several workflows share."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from inversesr.workflows import run as job
from inversesr.workflows.executors import alone
from tests.support.batches import write_scan
from tests.support.thin_slices import write_short_report


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two scans in different folders; what is meant for other processes stays in this one."""
    monkeypatch.setattr(alone, "prepared_process", lambda _work: ThreadPoolExecutor(1))
    monkeypatch.setattr(job, "write_report", write_short_report)
    write_scan(tmp_path / "in" / "a.nii.gz")
    write_scan(tmp_path / "in" / "ward 3" / "b.nii", seed=1)
    return tmp_path / "in"
