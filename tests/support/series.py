"""A small 4D file with its sidecar."""

import json

import nibabel
import numpy as np

from inversesr.workflows.series.config import SeriesConfig

CHOICES = SeriesConfig(tr=1.0, solver="spline", motion="none")


def write_bold(folder, sidecar=None, n_volumes=8):
    """Write bold.nii.gz, 12 x 12 x 4 voxels of 3 x 3 x 6 mm every 2 s, and its sidecar."""
    rng = np.random.default_rng(0)
    head = np.zeros((12, 12, 4))
    head[2:10, 2:10] = rng.uniform(80, 120, (8, 8, 4))
    y = head[..., None] + rng.normal(0, 1.0, (12, 12, 4, n_volumes))
    image = nibabel.Nifti1Image(y.astype(np.float32), np.diag([3.0, 3.0, 6.0, 1.0]))
    image.header.set_zooms((3.0, 3.0, 6.0, 2.0))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, folder / "bold.nii.gz")
    told = {"RepetitionTime": 2.0, "SliceTiming": [0.0, 1.0, 0.5, 1.5], "TaskName": "rest"}
    (folder / "bold.json").write_text(json.dumps(told | (sidecar or {})))
    return folder / "bold.nii.gz"
