from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.explain.numbers import FLUID, VENTRICLES
from inversesr.explain.openness import enrichment, find_openness
from inversesr.explain.record import as_record
from tests.explain.conftest import quick


def test_every_picture_agrees_with_the_scan_as_the_image_does(found, subject):
    task = subject.task
    for direction in found.directions:
        for picture in (direction.low, direction.high, *found.likely):
            x = subject.x.clone()
            x[found.view] = torch.from_numpy(picture)
            largest = float((x - subject.x).abs().max())
            assert largest > 1e-3
            misfit = float((task.A(x) - task.A(subject.x)).abs().max())
            # a change fades over a few voxels outside the block that it was made in
            assert misfit < 0.05 * largest
        assert direction.misfit_share < 1e-5


def test_the_same_seed_finds_the_same_and_another_one_other_deviations(found, subject, net):
    with quick():
        again, other = (find_openness(subject, net, seed, longest=16) for seed in (0, 1))
    assert as_record(again) == as_record(found)
    np.testing.assert_array_equal(again.directions[0].low, found.directions[0].low)
    assert as_record(other) != as_record(found)


def test_air_that_is_not_at_zero_changes_pictures_by_that_and_no_number(found, subject, net):
    with quick():
        shifted = replace(subject, x=subject.x + 300.0, air=300.0)
        above = find_openness(shifted, net, 0, longest=16)
    np.testing.assert_allclose(above.directions[0].low, found.directions[0].low + 300, atol=1e-3)
    for name, (value, _) in found.numbers_sd.items():
        assert above.numbers_sd[name][0] == pytest.approx(value, rel=1e-3)


def test_a_change_at_the_ventricles_is_found_there(subject):
    change = torch.zeros(subject.task.fine.shape)
    change[4:-4, 4:-4, 4:-4] = 0.01
    change[10:14, 10:14, 10:14] = 1.0
    told = enrichment(change, subject.brain, subject.labels)
    assert told[VENTRICLES] > 10.0
    even = enrichment(torch.ones_like(change), subject.brain, subject.labels)
    assert even[VENTRICLES] == pytest.approx(1.0)
    assert enrichment(change, subject.brain, None) == {}
    assert FLUID in told
