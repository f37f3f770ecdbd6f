from dataclasses import replace
from math import prod
from pathlib import Path

import nibabel
import numpy as np
import pytest

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import read_scan
from inversesr.volume import Grid
from inversesr.workflows import estimate as plan
from inversesr.workflows import restore as pipeline
from inversesr.workflows.estimate import (
    _box_around,
    _Clock,
    _EnoughError,
    estimate_fusion,
    estimate_memory,
    estimate_seconds,
    extrapolate,
    middle_block,
    plan_run,
)

CONFIG = Config(threads=1)


def save(path, shape=(24, 20, 8), spacing=(1.0, 1.0, 4.0)):
    data = np.random.default_rng(0).uniform(50, 100, shape).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, np.diag([*spacing, 1.0])), path)
    return path


@pytest.fixture
def path(tmp_path):
    return save(tmp_path / "scan.nii.gz")


def test_a_plan_tells_what_the_run_then_does_and_writes_nothing(path, tmp_path):
    found = plan_run([path], CONFIG, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["scan.nii.gz"]
    ran = pipeline.restore([read_scan(path)], CONFIG)
    assert found.fine.same_as(ran.volume.grid)
    assert found.acquisitions[0] == ran.sources[0].acquisition
    assert set(found.warnings) == set(ran.warnings)
    assert found.seconds > 0
    assert found.outputs[0] == tmp_path / "out" / "scan_desc-sr.nii.gz"


@pytest.mark.parametrize("name", ["missing.nii.gz", "isotropic.nii.gz"])
def test_what_a_run_would_refuse_has_no_plan(tmp_path, name):
    save(tmp_path / "isotropic.nii.gz", spacing=(1.0, 1.0, 1.0))
    with pytest.raises(InputError):
        plan_run([tmp_path / name], CONFIG)


def test_several_scans_have_a_plan_with_time_and_memory(path, tmp_path):
    second = save(tmp_path / "second.nii.gz")
    found = plan_run([path, second], CONFIG)
    assert len(found.acquisitions) == 2
    assert found.seconds > 0
    assert found.memory_bytes > 0
    with pytest.raises(InputError, match="tv"):
        plan_run([path, second], Config(solver="spline"))


def test_fusing_is_timed_on_a_block_and_scaled_by_voxels(path, monkeypatch):
    time = Clockwork(monkeypatch)
    monkeypatch.setattr(plan, "FUSION_BLOCK_VOXELS", 24 * 20 * 32 / 8)
    monkeypatch.setattr(plan, "_estimate_writing", lambda *_: 7.0)
    seen = []

    def fuse(scans, _config, mask, *_):
        time.now += 1e-3 * prod(scans[0].volume.grid.shape) * 4
        seen.append((*(scan.volume.grid.shape for scan in scans), mask.shape))

    monkeypatch.setattr(plan, "fuse", fuse)
    scans, mask = [read_scan(path)] * 2, np.ones((24, 20, 8), dtype=np.float32)
    seconds = estimate_fusion(scans, path, CONFIG, mask, 24 * 20 * 32)
    assert seen == [((12, 10, 4),) * 3]
    assert seconds == pytest.approx(1e-3 * 24 * 20 * 32 + 7.0)


def test_scans_that_lie_elsewhere_have_no_estimate(path, tmp_path):
    image = nibabel.load(path)
    moved = image.affine.copy()
    moved[:3, 3] += 500.0
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), moved), tmp_path / "far.nii.gz")
    assert plan_run([path, tmp_path / "far.nii.gz"], CONFIG).seconds is None


@pytest.mark.parametrize("shift", [0.0, 6.0, 500.0], ids=["middle", "aside", "outside"])
def test_a_box_about_a_point_stays_in_the_grid(shift):
    grid = Grid((24, 20, 8), np.diag([1.0, 1.0, 4.0, 1.0]))
    box = _box_around(grid, np.array([11.5 + shift, 9.5, 14.0, 1.0]), 0.5)
    sizes = [side.stop - side.start for side in box]
    assert sizes == [12, 10, 4]
    assert box[0].start == min(6 + round(shift), 12)
    assert all(side.start >= 0 and side.stop <= n for side, n in zip(box, grid.shape, strict=True))


def test_too_little_memory_is_warned_of(path):
    found = replace(plan_run([path], CONFIG), memory_bytes=2.0, free_bytes=1)
    assert "coarser --spacing" in found.warnings[-1]
    assert "coarser" not in " ".join(replace(found, free_bytes=3).warnings)


class Clockwork:
    """A clock that goes on when told to."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(plan, "perf_counter", lambda: self.now)


def test_a_clock_extrapolates_from_a_few_steps_to_all_of_them(monkeypatch):
    time = Clockwork(monkeypatch)
    clock = _Clock(start=100.0)
    time.now += 5.0  # getting ready takes 3 s and the first step 2 s
    clock("tv", 1, 80)
    for n in (2, 3):
        time.now += 2.0
        clock("tv", n, 80)
    time.now += 2.0
    with pytest.raises(_EnoughError):
        clock("tv", 4, 80)
    assert clock.whole_run() == pytest.approx(3.0 + 80 * 2.0)


def test_a_step_is_timed_without_what_comes_before_the_first(monkeypatch):
    time = Clockwork(monkeypatch)
    clock = _Clock(start=100.0)
    clock("unet", 0, 61)
    assert clock.step_seconds() == 0.0
    for n, seconds in ((1, 9.0), (2, 0.5), (3, 0.5)):
        time.now += seconds
        if n == 3:
            with pytest.raises(_EnoughError):
                clock("unet", n, 61)
        else:
            clock("unet", n, 61)
    assert clock.step_seconds() == pytest.approx(0.5)


def test_a_clock_does_not_stop_what_ends_by_itself(monkeypatch):
    time = Clockwork(monkeypatch)
    clock = _Clock(start=100.0)
    for n in range(1, 5):
        time.now += 9.0
        clock("tv", n, 4) if n == 4 else clock("other", n, 99)
    assert clock.phase == "tv"


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


def test_memory_grows_with_voxels_from_what_is_held_already():
    small, large = (estimate_memory("tv", n, 1e8) for n in (0, 10**6))
    assert small == 1e8
    assert large - small == pytest.approx(2 * (estimate_memory("tv", 5 * 10**5, 1e8) - small))
    assert estimate_memory("latent-map", 1, 1.0) is None
    fused = estimate_memory("tv", 10**6, 1e8, n_scans=2)
    assert fused == 1e8 + 1e6 * plan.FUSION_BYTES_PER_VOXEL
    assert estimate_memory("unet", 0, 1e8) > 1e8


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
    monkeypatch.setattr(plan, "BLOCK_VOXELS", 4000.0)
    monkeypatch.setattr(plan, "SMALL_BLOCK_VOXELS", 400.0)

    def n_fine(scan):
        return prod(scan.volume.grid.shape) * 4

    monkeypatch.setattr(plan, "_time_solving", lambda scan, _config: 1e-3 * n_fine(scan))
    monkeypatch.setattr(plan, "_time_adapting", lambda _scan, _config: 7.0)
    monkeypatch.setattr(
        plan, "_time_writing", lambda scan, _path, _config: 2.0 + 1e-4 * n_fine(scan)
    )
    config = replace(CONFIG, solver="spline")
    seconds = estimate_seconds(read_scan(path), path, config, 10**6)
    assert seconds == pytest.approx(1e3 + 7.0 + 2.0 + 1e2)


def test_a_plan_of_a_file_in_this_folder_names_outputs_beside_it(path):
    assert plan_run([path], CONFIG).outputs[0].parent == Path(path).parent
