from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import read_scan
from inversesr.workflows import estimate as plan
from inversesr.workflows import restore as pipeline
from inversesr.workflows.estimate import estimate_memory, plan_run

CONFIG = Config(threads=1)
SPLINE = Config(threads=1, solver="spline")


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


def test_scans_that_lie_elsewhere_have_no_estimate(path, tmp_path):
    image = nibabel.load(path)
    moved = image.affine.copy()
    moved[:3, 3] += 500.0
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), moved), tmp_path / "far.nii.gz")
    assert plan_run([path, tmp_path / "far.nii.gz"], CONFIG).seconds is None


def test_too_little_memory_is_warned_of(path):
    found = replace(plan_run([path], SPLINE), memory_bytes=2.0, free_bytes=1)
    assert "coarser --spacing" in found.warnings[-1]
    assert "coarser" not in " ".join(replace(found, free_bytes=3).warnings)


def test_memory_grows_with_voxels_from_what_is_held_already():
    small, large = (estimate_memory("tv", n, 1e8) for n in (0, 10**6))
    assert small == 1e8
    assert large - small == pytest.approx(2 * (estimate_memory("tv", 5 * 10**5, 1e8) - small))
    assert estimate_memory("latent-map", 1, 1.0) is None
    fused = estimate_memory("tv", 10**6, 1e8, n_scans=2)
    assert fused == 1e8 + 1e6 * plan.FUSION_BYTES_PER_VOXEL
    assert estimate_memory("unet", 0, 1e8) > 1e8


def test_a_plan_of_a_file_in_this_folder_names_outputs_beside_it(path):
    assert plan_run([path], SPLINE).outputs[0].parent == Path(path).parent
