from dataclasses import replace

import numpy as np
import pytest

from inversesr.acquisition.interpolated import Interpolated
from inversesr.acquisition.thickness import find_thickness, is_stated_thick
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.volume import Grid, Volume

EXACT = Interpolated(2, 5.0, 2.0, 24, "linear", is_exact=True)
ROUGH = replace(EXACT, kind="fourier", is_exact=False)


def thickness(interpolated=None, sidecar=None, spacing=1.0, **choices):
    scan = Scan.made_here(Volume(np.ones((4, 4, 4), np.float32), Grid((4, 4, 4), np.eye(4))))
    scan = replace(scan, sidecar=sidecar or {})
    return find_thickness(scan, Config(**choices), spacing, interpolated)


def test_the_options_go_before_the_sidecar_and_that_before_content_and_voxels():
    sidecar = {"SliceThickness": 4.0}
    assert thickness(EXACT, sidecar, thickness_mm=3.0).source == "the options"
    assert thickness(EXACT, sidecar).source == "the sidecar"
    assert thickness(EXACT).source == "the content"
    assert thickness().source == "the voxel size"


@pytest.mark.parametrize("interpolated", [EXACT, ROUGH])
def test_thickness_and_gap_of_measured_slices_add_up_to_their_distance(interpolated):
    found = thickness(interpolated, thickness_mm=4.0, gap_mm=1.0)
    assert (found.mm, found.interpolated) == (4.0, interpolated)


@pytest.mark.parametrize("interpolated", [None, EXACT, ROUGH])
def test_thickness_and_gap_that_add_up_to_nothing_are_refused(interpolated):
    with pytest.raises(InputError, match="must add up"):
        thickness(interpolated, thickness_mm=4.0, gap_mm=5.0)


def test_a_distance_that_is_about_right_confirms_a_sidecar_that_is_near_it():
    sidecar = {"SliceThickness": 4.0, "SpacingBetweenSlices": 5.5}
    assert thickness(ROUGH, sidecar).mm == 4.0
    with pytest.raises(InputError, match="the sidecar says"):
        thickness(EXACT, sidecar)


@pytest.mark.parametrize(("mm", "spacing"), [(13.0, 2.0), (30.0, 5.0)])
def test_slices_that_are_many_times_as_thick_as_far_apart_are_refused(mm, spacing):
    with pytest.raises(InputError, match="overlap more than 5 times"):
        thickness(spacing=spacing, thickness_mm=mm)


@pytest.mark.parametrize("mm", [6.0, 12.0])
def test_slices_of_any_usual_thickness_may_be_stored_every_millimetre(mm):
    assert thickness(thickness_mm=mm).mm == mm


def test_a_thickness_counts_as_thick_well_above_the_distance_only():
    assert is_stated_thick(Config(thickness_mm=3.0), 1.0)
    assert is_stated_thick(Config(gap_mm=-1.0), 1.0)
    assert not is_stated_thick(Config(thickness_mm=1.2), 1.0)
    assert not is_stated_thick(Config(gap_mm=0.5), 1.0)
    assert not is_stated_thick(Config(), 1.0)
