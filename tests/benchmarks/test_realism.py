from dataclasses import replace

import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.realism import judge, measure_realism
from inversesr.benchmarks.realism_case import Restored, make_case
from inversesr.benchmarks.realism_rows import DRAWN, IMAGE, SAMPLE
from inversesr.io.nifti import Scan, write_volume
from tests.support.tissues import painted_brain, tissue_labels

LABELS = tissue_labels()
TASK = SimulateConfig(thickness_mm=4.0)


@pytest.fixture(scope="module")
def case():
    return make_case("brain", painted_brain(LABELS, 4.0), LABELS > 0, TASK, None)


def noise(case, sd, seed):
    drawn = np.random.default_rng(seed).standard_normal(case.truth.data.shape)
    return (sd * drawn * (LABELS > 0)).astype(np.float32)


def test_the_truth_itself_has_no_fault(case):
    (row,) = judge(Restored(case, "oracle", case.truth.data))
    assert row.psnr_db == np.inf
    assert row.ssim == pytest.approx(1.0)
    assert row.spectral_error_db == 0.0
    assert row.smooth_sd_ratio == pytest.approx(1.0)
    assert row.absolute_error == 0.0
    assert (row.dice_fluid, row.dice_grey, row.dice_white) == (1.0, 1.0, 1.0)
    assert (row.volume_fluid, row.volume_grey, row.volume_white) == (1.0, 1.0, 1.0)
    assert (row.crps, row.covered, row.factor, row.n_samples) == (None,) * 4


def test_noise_is_seen_in_smooth_tissue_and_in_the_absolute_error(case):
    (row,) = judge(Restored(case, "noisy", case.truth.data + noise(case, 4.0, 1)))
    assert row.smooth_sd_ratio == pytest.approx(2**0.5, rel=0.1)
    assert row.absolute_error == pytest.approx(4.0 * (2.0 / np.pi) ** 0.5, rel=0.02)


def test_samples_of_the_law_of_the_error_cover_it_and_have_its_crps(case):
    x = case.truth.data + noise(case, 4.0, 1)
    samples = np.stack([x + noise(case, 4.0, seed) for seed in range(2, 10)])
    restored = Restored(case, "honest", x, samples.std(axis=0, ddof=1), samples)
    image, sample = judge(restored)
    assert (image.kind, sample.kind) == (IMAGE, SAMPLE)
    # the truth is about x as each sample is: the absolute error of x is that of sd 4
    assert image.crps == pytest.approx(4.0 / np.pi**0.5, rel=0.03)
    assert image.crps < image.absolute_error < sample.absolute_error
    # of 8 samples Student's law makes the interval wide enough, and their mean is not used
    assert image.covered == pytest.approx(0.9, abs=0.05)
    assert (image.n_samples, image.factor) == (8, 1.0)
    assert sample.crps is None


def test_samples_that_were_moved_apart_are_judged_as_drawn_too(case):
    x = case.truth.data + noise(case, 4.0, 1)
    drawn = np.stack([x + noise(case, 4.0, seed) for seed in range(2, 10)])
    middle = drawn.mean(axis=0)
    moved = middle + 3.0 * (drawn - middle)
    rows = judge(Restored(case, "wide", x, moved.std(axis=0, ddof=1), moved, 3.0))
    image, sample, as_drawn = rows
    assert as_drawn.kind == DRAWN
    assert as_drawn.psnr_db > sample.psnr_db
    assert as_drawn.crps < image.crps
    assert (image.factor, as_drawn.factor) == (3.0, 1.0)
    (plain, _) = judge(Restored(case, "wide", x, drawn.std(axis=0, ddof=1), drawn))
    assert as_drawn.covered == pytest.approx(plain.covered, abs=1e-3)


def test_a_deviation_without_samples_has_the_crps_of_a_gaussian(case):
    x = case.truth.data + noise(case, 4.0, 1)
    (row,) = judge(Restored(case, "map", x, np.full_like(x, 4.0)))
    assert row.crps == pytest.approx(4.0 / np.pi**0.5, rel=0.03)
    assert row.covered == pytest.approx(0.9, abs=0.01)
    assert row.n_samples is None


def test_rows_of_all_images_and_solvers_come_with_means(tmp_path):
    paths = []
    for seed in range(2):
        volume = painted_brain(LABELS, 4.0, seed, spacing_mm=5.0)
        paths.append(tmp_path / f"brain{seed}.nii.gz")
        write_volume(paths[-1], volume, Scan.made_here(volume))
    told, seen = [], []
    task = replace(TASK, thickness_mm=20.0)
    rows = measure_realism(paths, [task], ["spline", "tv"], told.append, look=seen.append)
    assert told == rows
    assert [(r.image, r.solver) for r in rows] == [
        (image, solver) for image in ("brain0", "brain1", "mean") for solver in ("spline", "tv")
    ]
    assert [s.solver for s in seen] == ["spline", "tv"] * 2
    assert rows[5].psnr_db == pytest.approx((rows[1].psnr_db + rows[3].psnr_db) / 2.0)
    # grain of the truth that slices cannot show is lost by both
    assert all(row.smooth_sd_ratio < 1.0 for row in rows)
    assert all(0.5 < row.dice_white <= 1.0 for row in rows)
