"""Times of slices and volumes: where they are from, and what is refused in a sentence."""

from dataclasses import replace

import numpy as np
import pytest

from inversesr.acquisition.slice_timing import repetition_time, slice_times
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.io.series import Series
from inversesr.volume import Grid, Volume


def series(sidecar=None, tr=2.0, times=None):
    volume = Volume(np.ones((3, 3, 4), np.float32), Grid((3, 3, 4), np.eye(4)))
    scan = replace(Scan.made_here(volume), sidecar=sidecar or {})
    return Series(np.ones((5, 3, 3, 4), np.float32), scan, tr, times)


def test_times_given_count_over_the_sidecar_and_that_over_the_header():
    full = series({"SliceTiming": [0, 1, 0, 1]}, times=(0.0, 0.5, 1.0, 1.5))
    assert slice_times(full, [1, 0, 1, 0], 2.0, 4)[0].tolist() == [1, 0, 1, 0]
    assert slice_times(full, None, 2.0, 4)[0].tolist() == [0, 1, 0, 1]
    assert slice_times(series(times=(0.0, 0.5, 1.0, 1.5)), None, 2.0, 4)[0][3] == 1.5
    assert slice_times(series(), None, 2.0, 4)[1] == ""


def test_slices_that_are_counted_backwards_are_turned():
    told = {"SliceTiming": [0.0, 0.5, 1.0, 1.5], "SliceEncodingDirection": "k-"}
    assert slice_times(series(told), None, 2.0, 4)[0].tolist() == [1.5, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([0, 1, 0], "3 times; expected one for each of the 4 slices"),
        ([0, 500, 1000, 1500], "may be in milliseconds"),
        ([0, -0.5, 1, 1], "expected times of at least 0 s"),
        ([0, 0.5, 1, 2.5], "check RepetitionTime"),
        ("0, 1", "no list of numbers"),
        ([0, float("nan"), 1, 1], "at least 0 s"),
    ],
)
def test_times_that_cannot_be_are_refused(times, told):
    with pytest.raises(InputError, match=told):
        slice_times(series({"SliceTiming": times}), None, 2.0, 4)


def test_the_sidecar_counts_over_the_header_and_a_difference_is_told():
    assert repetition_time(series(tr=2.0)) == (2.0, ())
    tr, odd = repetition_time(series({"RepetitionTime": 3.0}, tr=2.0))
    assert tr == 3.0
    assert "the latter is taken" in odd[0]


@pytest.mark.parametrize("tr", [0, -2.0, 3000, "2", True])
def test_a_repetition_time_that_cannot_be_is_refused(tr):
    with pytest.raises(InputError, match="expected seconds"):
        repetition_time(series({"RepetitionTime": tr}))
