"""Two small scans in a folder, for tests of the training stages."""

import nibabel
import numpy as np

SUBJECTS = ("sub-01", "sub-02")


def write_scans(folder, shape):
    """Write a noise image for each subject and return the folder."""
    rng = np.random.default_rng(0)
    for subject in SUBJECTS:
        image = rng.uniform(0, 100, shape).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / f"{subject}_T1w.nii.gz")
    return folder
