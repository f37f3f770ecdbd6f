import numpy as np
import pytest
import torch

from inversesr.benchmarks.autoencoder import measure_image, measure_reconstruction
from inversesr.io.nifti import Scan, write_volume
from inversesr.priors.loading import load_prior
from inversesr.volume import Grid, Volume


def blob(shape=(20, 22, 24)):
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    return (900.0 * np.exp(-2.0 * sum(a**2 for a in axes))).astype(np.float32)


def test_a_smooth_image_survives_the_built_in_autoencoder():
    row = measure_image(load_prior("builtin", dtype=torch.float32), blob(), "blob")
    assert row.psnr_db > 25.0
    assert row.n_voxels == 24 * 24 * 24


def test_the_figure_does_not_depend_on_the_scale_of_the_intensities():
    prior = load_prior("builtin", dtype=torch.float32)
    first, second = (measure_image(prior, scale * blob(), "blob").psnr_db for scale in (1.0, 0.01))
    assert first == pytest.approx(second, abs=0.01)


def test_every_image_gives_a_row_as_soon_as_it_is_done(tmp_path):
    volume = Volume(blob(), Grid((20, 22, 24), np.eye(4)))
    paths = [tmp_path / name for name in ("a.nii.gz", "b.nii.gz")]
    for path in paths:
        write_volume(path, volume, Scan.made_here(volume))
    seen = []
    rows = measure_reconstruction(paths, "builtin", seen.append)
    assert [row.image for row in rows] == ["a", "b"]
    assert seen == rows
