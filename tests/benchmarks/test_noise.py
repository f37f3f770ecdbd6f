import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.noise import (
    KINDS,
    MASKED,
    SIGNED,
    VARYING,
    measure_noise,
    noisy,
    pattern,
)
from inversesr.io.nifti import Scan, write_volume
from inversesr.volume import Grid, Volume
from tests.support.heads import head_volume


def test_every_image_level_and_kind_is_a_row(tmp_path):
    data = head_volume((40, 36, 40), (1.0, 1.0, 1.0), folds=2.0).data
    volume = Volume(data, Grid((40, 36, 40), np.eye(4)))
    write_volume(tmp_path / "head.nii.gz", volume, Scan.made_here(volume))
    rows = measure_noise([tmp_path / "head.nii.gz"], [4.0], SimulateConfig(thickness_mm=4.0))
    assert [row.kind for row in rows] == list(KINDS)
    assert all(0.5 < row.ratio < 1.5 for row in rows)
    assert all(row.added_percent == pytest.approx(4.0, rel=1e-5) for row in rows[:3])
    assert rows[3].added_percent > 4.0


def test_noise_has_the_deviation_that_was_asked_for_and_air_stays_empty():
    clean = np.zeros((30, 30, 30), np.float32)
    clean[5:, 5:, 5:] = 100.0
    rng = np.random.default_rng(0)
    for kind in KINDS:
        found = noisy(clean, 5.0, kind, rng)
        assert (found - 100.0)[10:, 10:, 10:].std() == pytest.approx(5.0, rel=0.03)
    assert (noisy(clean, 5.0, MASKED, rng)[clean == 0.0] == 0.0).all()
    assert noisy(clean, 5.0, SIGNED, rng).min() < 0.0


def test_noise_that_varies_is_largest_in_the_middle():
    found = pattern((21, 21, 5))
    assert found[10, 10].min() > 1.8 * found[0, 10].max()
    assert VARYING in KINDS
