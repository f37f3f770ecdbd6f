from dataclasses import replace

import numpy as np
import pytest

from inversesr.acquisition.plausibility import LEAST_LIKENESS, _likeness, doubts
from inversesr.io.nifti import Scan
from inversesr.volume import Grid, Volume

SHAPE, SPACING_MM = (50, 60, 26), (3.6, 3.6, 5.5)


def head(slice_axis=2):
    """A ball of the size of a head in noisy air."""
    shape, spacing = list(SHAPE), list(SPACING_MM)
    if slice_axis != 2:
        for values in (shape, spacing):
            values[slice_axis], values[2] = values[2], values[slice_axis]
    index = [(np.arange(n) - n / 2) * s for n, s in zip(shape, spacing, strict=True)]
    radius = np.sqrt(sum(np.square(i) for i in np.meshgrid(*index, indexing="ij")))
    data = 500.0 * (radius < 75.0) + np.abs(np.random.default_rng(0).normal(0, 20, shape))
    return scan_of(data, spacing)


def scan_of(data, spacing=SPACING_MM):
    grid = Grid(data.shape, np.diag([*spacing, 1.0]))
    return replace(Scan.made_here(Volume(data.astype(np.float32), grid)), name="scan")


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_thick_slices_of_a_head_raise_no_doubt(slice_axis):
    assert doubts(head(slice_axis), slice_axis) == ()


@pytest.mark.parametrize(
    ("scan", "words"),
    [
        (scan_of(head().volume.data * 4.0 - 1024.0), "Hounsfield units of CT"),
        (scan_of(head().volume.data, (0.36, 0.36, 0.55)), "less than a brain"),
        (scan_of(head().volume.data[:, :, :6]), "less than a brain"),
        (scan_of(head().volume.data, (9.0, 9.0, 15.0)), "far more than a head"),
        (scan_of((head().volume.data - 200.0) / 150.0), "many negative intensities"),
        (scan_of(np.random.default_rng(0).uniform(0, 9, SHAPE)), "looks like noise"),
        (replace(head(), sidecar={"Modality": "CT"}), "Modality CT"),
        (replace(head(), sidecar={"BodyPartExamined": "LSPINE"}), "BodyPartExamined SPINE"),
    ],
    ids=["CT", "tiny", "slab", "body", "z-score", "noise", "modality", "body part"],
)
def test_what_is_no_scan_of_a_head_raises_one_doubt_in_words(scan, words):
    (doubt,) = doubts(scan, 2)
    assert words in doubt
    assert doubt.startswith("scan ")
    assert ":" in doubt  # what was found, then what to do


@pytest.mark.parametrize(
    "sidecar",
    [
        {},
        {"Modality": "MR"},
        {"Modality": "mr "},
        {"Modality": ["MR"]},
        {"Modality": "MRI"},
        {"Modality": "MR_US"},
        {"Modality": "Magnetic Resonance"},
        {"Modality": None},
        {"Modality": ""},
        {"Modality": "n/a"},
        {"Modality": "OT"},
        {"Modality": 3},
        {"Modality": {}},
        {"BodyPartExamined": "HEAD"},
        {"BodyPartExamined": None},
        {"BodyPartExamined": 7},
    ],
    ids=repr,
)
def test_a_sidecar_that_states_nothing_else_than_the_mri_of_a_head_raises_no_doubt(sidecar):
    assert doubts(replace(head(), sidecar=sidecar), 2) == ()


@pytest.mark.parametrize(
    "modality", ["CT", "ct", ["PT"], "PT/CT", "Computed Tomography"], ids=repr
)
def test_another_modality_of_the_sidecar_is_doubted(modality):
    (doubt,) = doubts(replace(head(), sidecar={"Modality": modality}), 2)
    assert "is not MRI by its sidecar" in doubt


@pytest.mark.parametrize(
    ("low", "high"), [(-9461.0, 11105403.0), (-600.0, 900.0), (-1000.0, 3000.0)], ids=str
)
def test_a_wide_range_is_not_that_of_ct_unless_a_part_of_it_is_air(low, high):
    """Bias correction and filters leave some voxels far below zero."""
    data = head().volume.data * high / 600.0
    data[3, 3, :] = low
    assert doubts(scan_of(data), 2) == ()


@pytest.mark.parametrize("outside", [-1024.0, -2000.0, -3024.0])
def test_ct_is_known_whatever_stands_outside_its_field_of_view(outside):
    data = head().volume.data * 4.0 - 1024.0
    data[:8] = outside
    assert "Hounsfield" in doubts(scan_of(data), 2)[0]


def test_a_lost_slice_is_doubted_by_its_number():
    data = head().volume.data.copy()
    data[:, :, 12] = 0.0
    (doubt,) = doubts(scan_of(data), 2)
    assert "slice 12 (counted from 0)" in doubt


def test_likeness_is_the_correlation_of_neighbours():
    """An autoregressive image has the correlation it was made with."""
    rng, rho = np.random.default_rng(0), 0.6
    y = rng.normal(size=(400, 400, 4))
    for axis in (0, 1):
        moved = np.moveaxis(y, axis, 0)
        for k in range(1, len(moved)):
            moved[k] = rho * moved[k - 1] + np.sqrt(1 - rho**2) * moved[k]
    assert _likeness(y.astype(np.float32), 2) == pytest.approx(rho, abs=0.02)
    assert rho > LEAST_LIKENESS
