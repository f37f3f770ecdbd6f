"""A head of a few voxels on disk, and benchmarks that stay in their own process."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from inversesr.benchmarks import case as benchmark_case
from inversesr.benchmarks import robustness as benchmark_robustness
from inversesr.io.nifti import Scan, write_volume
from inversesr.volume import Grid, Volume
from inversesr.workflows import run as job

SHAPE = (20, 18, 24)


def write_head(folder):
    """Write nested ellipsoids with a ripple across the slices; return the file."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    radius = sum(a**2 for a in axes) ** 0.5
    data = 100.0 * (radius < 0.9) + 60.0 * (radius < 0.5) + 5.0 * np.sin(20.0 * axes[2])
    volume = Volume(np.abs(data).astype(np.float32), Grid(SHAPE, np.eye(4)))
    path = folder / "head.nii.gz"
    write_volume(path, volume, Scan.made_here(volume))
    return path


def stay_in_this_process(monkeypatch):
    """Run what is meant for another process in a thread: starting Python takes seconds."""
    for module in (benchmark_case, benchmark_robustness):
        monkeypatch.setattr(module, "new_process", lambda: ThreadPoolExecutor(1))
    monkeypatch.setattr(job, "write_report", write_short_report)


def write_short_report(path, *_):
    """Write a report without pictures: those take seconds."""
    path.write_text("a report")


def silent(_row):
    """Say nothing."""
