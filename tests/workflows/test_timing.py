from dataclasses import replace
from math import prod

import nibabel
import numpy as np
import pytest

from inversesr.config import Config
from inversesr.io.nifti import read_scan
from inversesr.volume import Grid
from inversesr.workflows import timing
from inversesr.workflows.prepare import prepare
from inversesr.workflows.timing import (
    FEW_STEPS,
    Clock,
    _box_around,
    estimate_fusion,
    estimate_seconds,
    extrapolate,
    middle_block,
)
from tests.support.problems import free_card, one_thread, random_tensors, write_prior  # noqa: F401  (a fixture)

CONFIG = Config(threads=1)


def save(path, shape=(24, 20, 8), spacing=(1.0, 1.0, 4.0)):
    data = np.random.default_rng(0).uniform(50, 100, shape).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, np.diag([*spacing, 1.0])), path)
    return path


@pytest.fixture
def path(tmp_path):
    return save(tmp_path / "scan.nii.gz")


class Clockwork:
    """A clock that goes on when told to."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(timing, "perf_counter", lambda: self.now)


def test_a_step_is_timed_without_what_comes_before_the_first_and_after_the_last(monkeypatch):
    time, clock = Clockwork(monkeypatch), Clock()
    clock("unet", 0, 4)
    assert clock.step_seconds("unet", 3) == clock.step_seconds("tv", 3) == 0.0
    for n, seconds in ((1, 9.0), (2, 0.5), (3, 0.7), (4, 20.0)):
        time.now += seconds
        clock("unet", n, 4)
    assert clock.step_seconds("unet", 3) == pytest.approx(0.6)
    assert clock.step_seconds("unet", 1) == 0.0


class Solver:
    """Restores in the place of `restore.restore`: seconds by what it is asked for."""

    def __init__(self, time):
        self.time, self.asked = time, []

    def __call__(self, scans, config, _mask, clock):
        (scan,) = scans
        settings = dict(text.removeprefix("solver.").split("=") for text in config.settings)
        n_tuning, n_levels = int(settings["adapt_steps"]), int(settings.get("n_levels", 0))
        self.asked.append((config.solver, n_tuning, n_levels))
        millions = prod(scan.volume.grid.shape) * 4 / 1e6
        self.time.now += 1.0 * millions  # getting ready
        for n in range(n_tuning):
            self.time.now += 0.5
            clock("unet", n + 1, n_tuning + 1)
        self.time.now += 3.0 * millions
        clock("unet", n_tuning + 1, n_tuning + 1)
        for n in range(n_levels):
            self.time.now += 2.0 * millions
            clock(config.solver, n + 1, n_levels)


@pytest.mark.parametrize("n_tuning", [0, 2, 60])
def test_few_steps_tell_the_time_of_all_and_fine_tuning_does_not_grow(
    path, monkeypatch, tmp_path, n_tuning
):
    card = free_card()
    prior = write_prior(tmp_path / "prior", card, random_tensors(card))
    time = Clockwork(monkeypatch)
    solver = Solver(time)
    monkeypatch.setattr(timing.pipeline, "restore", solver)
    monkeypatch.setattr(timing, "_estimate_writing", lambda *_: 7.0)
    monkeypatch.setattr(timing, "BLOCK_VOXELS", 4000.0)
    settings = (f"solver.adapt_steps={n_tuning}", "solver.n_levels=9")
    config = replace(CONFIG, solver="latent-pnp", prior=str(prior), settings=settings)
    scan = read_scan(path)
    seconds = estimate_seconds(scan, path, prepare(scan, config), config)
    assert solver.asked == [("latent-pnp", min(n_tuning, FEW_STEPS), FEW_STEPS)]
    millions = 24 * 20 * 32 / 1e6
    assert seconds == pytest.approx((1 + 3 + 9 * 2.0) * millions + n_tuning * 0.5 + 7.0)


def test_fusing_is_timed_on_a_block_and_scaled_by_voxels(path, monkeypatch):
    time = Clockwork(monkeypatch)
    monkeypatch.setattr(timing, "FUSION_BLOCK_VOXELS", 24 * 20 * 32 / 8)
    monkeypatch.setattr(timing, "_estimate_writing", lambda *_: 7.0)
    seen = []

    def fuse(scans, _config, mask, *_):
        time.now += 1e-3 * prod(scans[0].volume.grid.shape) * 4
        seen.append((*(scan.volume.grid.shape for scan in scans), mask.shape))

    monkeypatch.setattr(timing, "fuse", fuse)
    scans, mask = [read_scan(path)] * 2, np.ones((24, 20, 8), dtype=np.float32)
    seconds = estimate_fusion(scans, path, CONFIG, mask, 24 * 20 * 32)
    assert seen == [((12, 10, 4),) * 3]
    assert seconds == pytest.approx(1e-3 * 24 * 20 * 32 + 7.0)


@pytest.mark.parametrize("shift", [0.0, 6.0, 500.0], ids=["middle", "aside", "outside"])
def test_a_box_about_a_point_stays_in_the_grid(shift):
    grid = Grid((24, 20, 8), np.diag([1.0, 1.0, 4.0, 1.0]))
    box = _box_around(grid, np.array([11.5 + shift, 9.5, 14.0, 1.0]), 0.5)
    sizes = [side.stop - side.start for side in box]
    assert sizes == [12, 10, 4]
    assert box[0].start == min(6 + round(shift), 12)
    assert all(side.start >= 0 and side.stop <= n for side, n in zip(box, grid.shape, strict=True))


@pytest.mark.parametrize(
    ("small", "large", "n", "seconds"),
    [
        ((10, 3.0), (20, 4.0), 50, 7.0),  # 2 s for everything, 0.1 s each
        ((10, 3.0), (20, 4.0), 20, 4.0),
        ((20, 4.0), (20, 4.0), 20, 4.0),
        ((10, 5.0), (20, 4.0), 40, 8.0),
    ],
    ids=["line", "known", "one point", "noise"],
)
def test_time_is_extrapolated_along_a_line(small, large, n, seconds):
    assert extrapolate(small, large, n) == pytest.approx(seconds)


@pytest.mark.parametrize("n_fine", [2000.0, 1e9], ids=["part", "all"])
def test_a_block_is_the_middle_of_every_slice(path, n_fine):
    scan = read_scan(path)
    block = middle_block(scan, CONFIG, n_fine)
    shape = block.volume.grid.shape
    assert shape[2] == 8
    n_expected = min(n_fine, prod(scan.volume.grid.shape) * 4)
    assert prod(shape) * 4 == pytest.approx(n_expected, rel=0.2)
    for corner in (np.zeros(3), np.array(shape) - 1.0):
        world = block.volume.grid.affine @ [*corner, 1.0]
        voxel = tuple(np.round(np.linalg.inv(scan.volume.grid.affine) @ world).astype(int)[:3])
        own = tuple(corner.astype(int))
        assert block.volume.data[own] == scan.volume.data[voxel]
    centre = [block.volume.grid.affine @ [*(np.array(shape) - 1) / 2, 1.0]][0]
    expected = scan.volume.grid.affine @ [*(np.array(scan.volume.grid.shape) - 1) / 2, 1.0]
    assert np.abs(centre - expected).max() <= 1.0


def test_solving_is_scaled_by_voxels_and_writing_along_a_line(path, monkeypatch):
    monkeypatch.setattr(timing, "BLOCK_VOXELS", 4000.0)
    monkeypatch.setattr(timing, "SMALL_BLOCK_VOXELS", 400.0)

    def n_fine(scan):
        return prod(scan.volume.grid.shape) * 4

    monkeypatch.setattr(timing, "_time_solving", lambda scan, *_: (1e-3 * n_fine(scan), 7.0))
    monkeypatch.setattr(
        timing, "_time_writing", lambda scan, _path, _config: 2.0 + 1e-4 * n_fine(scan)
    )
    config = replace(CONFIG, solver="spline")
    scan = read_scan(path)
    seconds = estimate_seconds(scan, path, prepare(scan, config), config)
    n = 24 * 20 * 32
    assert seconds == pytest.approx(1e-3 * n + 7.0 + 2.0 + 1e-4 * n)
