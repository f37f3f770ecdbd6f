import nibabel
import numpy as np
import pytest

from inversesr.training.brain_labels import (
    mask_of_labels,
    places,
    ras_labels,
    read_heads,
    shows_head,
)
from inversesr.volume import Grid, Volume

SKULL, WHITE, FLUID, PARCEL = 515, 2, 24, 2011


def ball_labels(side=40, spacing_mm=4.0):
    """White matter in fluid in a skull, with a hole of air in the middle."""
    axes = [(np.arange(side) - (side - 1) / 2.0) * spacing_mm for _ in range(3)]
    radius = sum(a**2 for a in np.meshgrid(*axes, indexing="ij")) ** 0.5
    labels = np.zeros((side,) * 3, dtype=np.int16)
    for limit, label in ((70, SKULL), (60, FLUID), (48, WHITE), (8, 0)):
        labels[radius <= limit] = label
    return labels, radius


def write_labels(path, labels, affine):
    nibabel.save(nibabel.Nifti1Image(labels, affine), path)


def test_the_mask_holds_tissue_what_it_encloses_and_a_rim_of_fluid():
    labels, radius = ball_labels(60, 2.0)
    mask = mask_of_labels(labels, (2.0, 2.0, 2.0))
    assert mask[radius <= 48].all()
    assert not mask[radius > 52].any()


def test_parcels_of_the_cortex_are_brain():
    labels = np.zeros((6, 6, 6), dtype=np.float32)
    labels[2:4, 2:4, 2:4] = PARCEL
    found = ras_labels(Volume(labels, Grid(labels.shape, np.eye(4))))
    assert found[2, 2, 2] == 3
    assert found[0, 0, 0] == 0


def test_labels_come_in_ras_order_whatever_the_order_in_the_file():
    labels = np.random.default_rng(0).integers(0, 9, (3, 4, 5)).astype(np.float32)
    affine = np.array([[0, 0, -1, 4], [2, 0, 0, 0], [0, -1, 0, 3], [0, 0, 0, 1]], dtype=float)
    found = ras_labels(Volume(labels, Grid(labels.shape, affine)))
    np.testing.assert_array_equal(found, labels.transpose(2, 0, 1)[::-1, :, ::-1])


@pytest.mark.parametrize("spacing_mm", [1.0, 0.7, 2.0])
def test_voxels_are_picked_a_millimetre_and_a_half_apart(spacing_mm):
    picked = places(slice(5, 95), spacing_mm)
    assert len(picked) % 2 == 0
    assert picked.min() >= 5
    assert picked.max() < 95
    assert np.diff(picked).mean() * spacing_mm == pytest.approx(1.5, abs=0.1)


def test_a_head_is_cropped_and_its_mask_holds_shares_of_coarse_voxels(tmp_path):
    labels, _ = ball_labels(80, 2.0)
    write_labels(tmp_path / "a_seg.nii.gz", labels, np.diag([2.0, 2.0, 2.0, 1.0]))
    brain_only = np.where(labels >= 500, 0, labels).astype(np.int16)
    write_labels(tmp_path / "b_seg.nii.gz", brain_only, np.diag([2.0, 2.0, 2.0, 1.0]))
    (head,) = read_heads(sorted(tmp_path.glob("*.nii.gz")))
    assert head.name == "a_seg"
    assert head.labels.shape == tuple(2 * n for n in head.mask.shape)
    assert head.labels.shape[0] == pytest.approx(140 / 1.5, abs=3)
    ml = float(head.mask.double().sum() / 255.0) * 27e-3
    expected = mask_of_labels(labels, (2.0, 2.0, 2.0)).sum() * 8e-3
    assert ml == pytest.approx(expected, rel=0.02)


def test_a_map_of_the_brain_alone_shows_no_head():
    labels, _ = ball_labels()
    grid = Grid(labels.shape, np.eye(4))
    assert shows_head(Volume(labels.astype(np.float32), grid))
    brain = np.where(labels == SKULL, PARCEL, labels)
    assert not shows_head(Volume(brain.astype(np.float32), grid))
