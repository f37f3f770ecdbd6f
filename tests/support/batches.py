"""Folders of small scans, and what became of them in a batch."""

import nibabel
import numpy as np

from inversesr.config import Config

SPLINE = Config(solver="spline")


def write_scan(path, seed=0, spacing=4.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, np.diag([1.0, 1.0, spacing, 1.0])), path)
    return path


def statuses(entries):
    return {entry.scan: entry.status for entry in entries}


def stamps(output):
    return {path: path.stat().st_mtime_ns for path in output.rglob("*.nii.gz")}


def write_pair(path, seed=0):
    """A header and voxels in files of their own; returns the header."""
    data = np.random.default_rng(seed).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Pair(data, np.diag([1.0, 1.0, 4.0, 1.0])), path)
    return path.with_suffix(".hdr")
