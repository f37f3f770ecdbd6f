from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from typer.testing import CliRunner

from inversesr.benchmarks import case as benchmark_case
from inversesr.benchmarks import robustness as benchmark_robustness
from inversesr.cli.app import app
from inversesr.io.nifti import Scan, write_volume
from inversesr.volume import Grid, Volume
from inversesr.workflows import run as job
from tests.support.thin_slices import write_short_report

SHAPE = (20, 18, 24)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A thin-slice image; what is meant for another process runs in a thread."""
    for module in (benchmark_case, benchmark_robustness):
        monkeypatch.setattr(module, "new_process", lambda: ThreadPoolExecutor(1))
    monkeypatch.setattr(job, "write_report", write_short_report)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    data = (100.0 * (sum(a**2 for a in axes) < 0.8)).astype(np.float32)
    volume = Volume(data, Grid(SHAPE, np.eye(4)))
    write_volume(tmp_path / "head.nii.gz", volume, Scan.made_here(volume))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bench():
    """Call `inversesr bench` with words."""
    return lambda *words: CliRunner().invoke(app, ["bench", *words])


@pytest.fixture
def refused(bench):
    """Call a command that must end with one sentence and status 2, and return the sentence."""

    def call(*words):
        result = bench(*words)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        (sentence,) = result.stderr.splitlines()
        return sentence

    return call
