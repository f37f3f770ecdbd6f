import nibabel
from typer.testing import CliRunner

from inversesr.cli.app import app
from tests.support.mri import head


def test_it_prints_a_table_of_the_mean_quality(tmp_path):
    volume = head((32, 32, 5))
    nibabel.save(nibabel.Nifti1Image(volume.data, volume.grid.affine), tmp_path / "head.nii.gz")
    options = "--method zero-filling --mask random --acceleration 2 --sigma 0 --calibration 8"
    arguments = ["bench", "kspace", str(tmp_path / "head.nii.gz"), *options.split()]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "| mask | R | noise | zero-filling |"
    assert result.stdout.splitlines()[2].startswith("| random | 2 | 0 % | ")
