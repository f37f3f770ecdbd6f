from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.volume import Grid, Volume
from inversesr.workflows.fill import fill
from inversesr.workflows.fill_choices import FillConfig
from inversesr.workflows.fill_plan import what_to_generate
from inversesr.workflows.restore import restore
from tests.support.heads import head_volume

TV = {"solver": "tv"}


def head(data=None):
    volume = head_volume((24, 26, 12), (1.0, 1.0, 3.0), noise=0.0, folds=4.0)
    return Scan.made_here(volume if data is None else volume.with_data(data))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_all_but_the_named_slices_stay_bit_by_bit(axis):
    volume = head().volume
    order = [0, 1, 2]
    order[axis], order[2] = 2, axis
    data = np.ascontiguousarray(volume.data.transpose(order))
    spacing = np.array(volume.grid.spacing_mm)[order]
    scan = Scan.made_here(Volume(data, Grid(data.shape, np.diag([*spacing, 1.0]))))
    found = fill(scan, FillConfig(slices="4,7", solver="spline")).result
    assert found.volume.grid.same_as(scan.volume.grid)
    kept = [k for k in range(12) if k not in (4, 7)]
    np.testing.assert_array_equal(found.volume.data.take(kept, axis), data.take(kept, axis))
    marked = found.maps["generated"].volume.data
    assert marked.take([4, 7], axis).min() == 1.0
    assert marked.take(kept, axis).max() == 0.0


def test_what_is_generated_does_not_depend_on_what_was_there():
    truth = head().volume.data
    spoilt = truth.copy()
    spoilt[..., 5] = 1e4
    images = [
        fill(head(d), FillConfig(slices="5", **TV)).result.volume.data for d in (truth, spoilt)
    ]
    np.testing.assert_array_equal(*images)
    assert np.sqrt(np.square(images[0] - truth)[..., 5].mean()) < 40.0


def test_slices_that_are_found_are_replaced_and_told():
    volume = head_volume((40, 44, 16), (1.0, 1.0, 3.0), folds=4.0)
    spoilt = volume.data.copy()
    spoilt[..., 6] *= 0.3
    scan = Scan.made_here(volume.with_data(spoilt))
    found = fill(scan, FillConfig(find=True, solver="spline"))
    assert found.wanted.spoilt == {6: "dark"}
    assert found.wanted.slices == (6,)
    assert any("slice 6 of the scan was found to be dark" in w for w in found.result.warnings)


def test_a_longer_field_of_view_keeps_every_measured_slice_in_its_place():
    scan = head()
    found = fill(scan, FillConfig(extend_mm=5.0, **TV))
    grid = found.result.volume.grid
    assert grid.shape[2] == 12 + 2 * 2
    np.testing.assert_allclose(grid.affine @ [0, 0, 2, 1], scan.volume.grid.affine @ [0, 0, 0, 1])
    np.testing.assert_array_equal(found.result.volume.data[..., 2:-2], scan.volume.data)
    assert found.wanted.slices == (0, 1, 14, 15)


def test_a_mask_is_filled_and_the_rest_stays():
    scan = head()
    mask = np.zeros(scan.volume.grid.shape, np.float32)
    mask[10:14, 11:15, 5:7] = 1.0
    spoilt = scan.volume.data.copy()
    spoilt[mask > 0] = 5000.0
    found = fill(head(spoilt), FillConfig(), mask)
    image = found.result.volume.data
    np.testing.assert_array_equal(image[mask == 0], spoilt[mask == 0])
    np.testing.assert_array_equal(found.result.maps["generated"].volume.data, mask)
    inside = mask > 0
    assert np.abs(image - scan.volume.data)[inside].mean() < 60.0
    assert found.wanted.slices == ()


def test_slices_and_a_mask_are_filled_together():
    scan = head()
    mask = np.zeros(scan.volume.grid.shape, np.float32)
    mask[10:14, 11:15, 5:7] = 1.0
    found = fill(scan, FillConfig(slices="6", **TV), mask)
    marked = found.result.maps["generated"].volume.data
    assert marked.sum() == 24 * 26 + 4 * 4
    untouched = marked == 0
    np.testing.assert_array_equal(found.result.volume.data[untouched], scan.volume.data[untouched])


def test_the_first_sentence_says_that_it_was_generated():
    found = fill(head(), FillConfig(slices="4", **TV)).result
    assert "of the voxels were generated, not measured" in found.warnings[0]


def test_nothing_to_fill_is_refused():
    with pytest.raises(InputError, match="nothing is to be filled"):
        fill(head(), FillConfig())
    with pytest.raises(InputError, match="no spoilt slice that could be found"):
        fill(head(), FillConfig(find=True))
    with pytest.raises(InputError, match="slice 40 is to be missing"):
        fill(head(), FillConfig(slices="40"))
    whole = np.ones(head().volume.grid.shape, np.float32)
    with pytest.raises(InputError, match="covers the whole scan"):
        fill(head(), FillConfig(), whole)


def test_a_scan_of_isotropic_voxels_is_filled_too():
    data = head_volume((20, 20, 20), (4.0, 4.0, 4.0), noise=0.0, folds=4.0).data
    scan = Scan.made_here(Volume(data, Grid((20, 20, 20), np.diag([0.9, 0.9, 0.9, 1.0]))))
    found = fill(scan, FillConfig(slices="9", solver="spline")).result.volume.data
    np.testing.assert_array_equal(np.delete(found, 9, 2), np.delete(data, 9, 2))


def test_slices_are_those_that_the_restored_image_would_give():
    scan = head()
    filled = fill(scan, FillConfig(slices="5", **TV)).result.volume.data
    config = Config(solver="tv", missing="5", consistency="exact")
    fine = restore([scan], config).volume.data
    n = fine.shape[2] // 12
    torch.testing.assert_close(
        torch.from_numpy(filled[..., 5]),
        torch.from_numpy(_thick(fine, n, scan.volume.grid.shape)[..., 5]),
        rtol=1e-3,
        atol=1.0,
    )


def _thick(fine, n, shape):
    """Average n fine voxels along the last axis, and those within a slice likewise."""
    a, b = fine.shape[0] // shape[0], fine.shape[1] // shape[1]
    return fine.reshape(shape[0], a, shape[1], b, shape[2], n).mean(axis=(1, 3, 5))


def test_what_is_missing_by_the_sidecar_is_generated_as_well():
    scan = replace(head(), sidecar={"MissingSlices": [3]})
    assert what_to_generate(scan, FillConfig(slices="5")).slices == (3, 5)
    assert what_to_generate(scan, FillConfig(find=True)).slices == (3,)
