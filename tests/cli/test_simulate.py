import nibabel
import numpy as np
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.io.kspace.formats import read_kspace
from tests.support.mri import head


def test_one_command_makes_slices_or_k_space(tmp_path):
    volume = head((24, 24, 8))
    nibabel.save(nibabel.Nifti1Image(volume.data, volume.grid.affine), tmp_path / "head.nii.gz")
    options = ("--kspace", "--coils", "2", "--acceleration", "2", "--calibration", "6")
    arguments = ["simulate", str(tmp_path / "head.nii.gz"), "-o"]
    made = CliRunner().invoke(app, [*arguments, str(tmp_path / "k.npz"), *options])
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("k-space: ")
    kspace = read_kspace(tmp_path / "k.npz")
    assert kspace.samples.shape == (2, 24, 24, 1)
    assert np.isclose(kspace.acceleration, 2.0, rtol=0.1)
    thick = CliRunner().invoke(
        app, [*arguments, str(tmp_path / "thick.nii.gz"), "--thickness", "8"]
    )
    assert thick.exit_code == 0, thick.output
    assert (tmp_path / "thick.json").is_file()
