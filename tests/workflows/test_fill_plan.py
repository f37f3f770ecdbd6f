import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.workflows.fill_choices import FillConfig
from inversesr.workflows.fill_plan import what_to_generate, what_was_generated
from tests.support.heads import head_volume


def scan():
    return Scan.made_here(head_volume((16, 18, 10), (1.0, 1.0, 3.0), folds=4.0))


def test_numbers_count_in_the_longer_stack():
    wanted = what_to_generate(scan(), FillConfig(slices="4", extend_mm=3.0))
    assert wanted.n_added == 1
    assert wanted.slices == (0, 5, 11)
    assert wanted.scan.volume.grid.shape == (16, 18, 12)


def test_a_mask_within_a_slice_that_is_generated_adds_nothing():
    mask = np.zeros((16, 18, 10))
    mask[4:8, 5:9, 4:6] = 1.0
    wanted = what_to_generate(scan(), FillConfig(slices="4"), mask)
    assert wanted.region.sum() == 16
    assert wanted.is_generated.sum() == 16 * 18 + 16


def test_what_was_generated_is_told_in_sentences():
    told = what_was_generated(what_to_generate(scan(), FillConfig(slices="4", extend_mm=5.0)))
    assert "not measured" in told[0]
    assert "slices 0-1, 6 and 12-13" in told[1]
    assert "extended by 2 slices at each end" in told[2]


def test_more_than_there_is_is_refused():
    with pytest.raises(InputError, match="9 of 10 slices"):
        what_to_generate(scan(), FillConfig(slices="1-9"))
