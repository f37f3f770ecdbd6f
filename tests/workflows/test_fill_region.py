import numpy as np
import pytest

from inversesr.acquisition.geometry import describe_acquisition
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.volume import Grid, Volume
from inversesr.workflows import fill_region as module
from inversesr.workflows.fill_choices import FillConfig
from inversesr.workflows.fill_region import fill_region


def quiet(_phase, _done, _total):
    """Report nothing."""


def filled(data, mask, **choices):
    volume = Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 3.0, 1.0])))
    acquisition = describe_acquisition(Scan.made_here(volume), Config())
    return fill_region(volume, mask, acquisition, FillConfig(**choices), quiet)


def ramp(shape=(24, 26, 12)):
    x, y, z = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij")
    return 10.0 + 2.0 * x + y + 3.0 * z


def test_a_hole_in_a_constant_image_has_its_constant():
    mask = np.zeros((24, 26, 12))
    mask[8:14, 9:15, 4:8] = 1.0
    data = np.where(mask > 0, 999.0, 50.0).astype(np.float32)
    data[0, 0, 0] = 60.0
    np.testing.assert_allclose(filled(data, mask)[mask > 0], 50.0, atol=0.2)


def test_a_hole_in_a_ramp_continues_it_and_the_rest_is_untouched():
    mask = np.zeros((24, 26, 12))
    mask[8:13, 9:14, 4:7] = 1.0
    data = ramp()
    found = filled(np.where(mask > 0, 0.0, data).astype(np.float32), mask)
    np.testing.assert_array_equal(found[mask == 0], data[mask == 0])
    assert np.abs(found - data)[mask > 0].mean() < 2.5


def test_what_was_measured_stays_as_it_is_bit_by_bit_whatever_a_solver_finds(monkeypatch):
    monkeypatch.setattr(module, "_solved", lambda measurement, *_: measurement.x0 + 0.125)
    mask = np.zeros((24, 26, 12))
    mask[8:13, 9:14, 4:7] = 1.0
    found = filled(ramp(), mask)
    np.testing.assert_array_equal(found[mask == 0], ramp()[mask == 0])
    assert np.all(found[mask > 0] % 1.0 == 0.125)


def test_an_edge_is_continued_through_the_hole():
    data = np.zeros((24, 26, 12), np.float32)
    data[12:] = 100.0
    mask = np.zeros((24, 26, 12))
    mask[9:15, 10:14, 5:8] = 1.0
    found = filled(np.where(mask > 0, 40.0, data).astype(np.float32), mask)
    assert np.abs(found - data)[mask > 0].mean() < 25.0


def test_an_empty_mask_changes_nothing():
    data = ramp()
    np.testing.assert_array_equal(filled(data, np.zeros(data.shape)), data)


def test_a_solver_that_takes_slices_only_is_refused():
    mask = np.zeros((24, 26, 12))
    mask[8:13, 9:14, 4:7] = 1.0
    with pytest.raises(InputError, match="such as tv"):
        filled(ramp(), mask, solver="unet")
