import nibabel
import numpy as np
import pytest

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.benchmarks.kspace import KSpaceTasks, compare_kspace, mean_table, padded, parsed
from inversesr.errors import InputError
from tests.support.mri import head

TASKS = KSpaceTasks(("random",), (2.0,), (0.0, 0.1), KSpaceSimulation(coils=4, calibration=8))


@pytest.fixture
def image(tmp_path):
    volume = head((40, 40, 5))
    nibabel.save(nibabel.Nifti1Image(volume.data, volume.grid.affine), tmp_path / "head.nii.gz")
    return tmp_path / "head.nii.gz"


def test_every_method_has_a_row_a_task_and_noise_costs_quality(image):
    told = []
    methods = ("zero-filling", "cg-sense,solver.n_steps=5")
    rows = compare_kspace([image], TASKS, methods, "builtin", told.append)
    assert told == rows
    assert [(row.noise_percent, row.method) for row in rows] == [
        (noise, method) for noise in (0.0, 10.0) for method in methods
    ]
    assert rows[1].psnr_db > rows[0].psnr_db
    assert rows[1].psnr_db > rows[3].psnr_db
    assert 0.0 < rows[3].ssim < rows[1].ssim <= 1.0
    table = mean_table(rows)
    assert table[0][3]["zero-filling"] == rows[0].psnr_db


def test_air_about_a_head_leaves_it_in_its_place():
    volume = head((20, 22, 3))
    found = padded(volume)
    assert found.data.shape == (48, 48, 3)
    place = np.argwhere(found.data == volume.data.max())[0]
    before = np.argwhere(volume.data == volume.data.max())[0]
    ends = [grid.affine @ [*p, 1] for grid, p in ((found.grid, place), (volume.grid, before))]
    assert ends[0] == pytest.approx(ends[1])


def test_settings_of_another_method_are_refused():
    with pytest.raises(InputError, match="expected"):
        parsed("zero-filling,solver.n_steps=3")
