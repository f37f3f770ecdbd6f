import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from inversesr.dwi.config import DwiConfig
from inversesr.errors import InputError
from inversesr.volume import Grid
from inversesr.workflows.dwi import DwiInputs, check_orientation, dwi_names, run_dwi
from tests.support.diffusion import AFFINE, fine_head, thickened, write_series

pytest.importorskip("dipy")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dwi")
    scan = write_series(folder, thickened(fine_head((16, 16, 16), n=6, noise=8.0), 2))
    record, outputs = run_dwi(scan, DwiConfig(), DwiInputs(), folder / "out")
    return scan, record, outputs


def test_names_are_those_of_bids():
    found = dwi_names(Path("in/sub-01_dir-AP_dwi.nii.gz"), Path("out"), has_tensor=True)
    assert found.image == Path("out/sub-01_dir-AP_desc-sr_dwi.nii.gz")
    assert found.bvec == Path("out/sub-01_dir-AP_desc-sr_dwi.bvec")
    map_name = "sub-01_dir-AP_model-tensor_desc-sr_param-fa_dwimap.nii.gz"
    assert found.maps["thin", "fa"] == Path("out") / map_name
    few = dwi_names(Path("scan.nii.gz"), None, has_tensor=False)
    assert {name for _, name in few.maps} == {"adc", "adcrobust"}
    with pytest.raises(InputError, match="give a folder"):
        dwi_names(Path("scan.nii.gz"), Path("x.nii.gz"), has_tensor=True)


def test_all_files_are_there_and_gradients_are_copied(done):
    scan, _, outputs = done
    assert all(path.is_file() for path in outputs.files.values())
    for ending in ("bval", "bvec"):
        copy = getattr(outputs, ending).read_bytes()
        assert copy == scan.with_name(f"sub-01_dwi.{ending}").read_bytes()
    image = nibabel.load(outputs.image)
    assert image.shape == (16, 16, 16, 7)
    np.testing.assert_allclose(image.header.get_zooms()[:3], 2.0, rtol=1e-5)


def test_maps_are_of_a_plausible_size_on_their_own_voxels(done):
    _, _, outputs = done
    for (which, name), path in outputs.maps.items():
        image = nibabel.load(path)
        assert image.shape == ((16, 16, 16) if which == "thin" else (16, 16, 8))
        values = image.get_fdata()
        inside = values[values > 0]
        assert inside.size > 300
        if name != "fa":
            assert 0.5e-3 < np.median(inside) < 2.5e-3


def test_the_record_tells_what_was_done(done):
    scan, record, outputs = done
    assert json.loads(outputs.sidecar.read_text())["consistency"] == "exact"
    assert record["inputs"][0]["name"] == scan.name
    assert record["largest_share"] < 1e-5
    assert record["volumes"]["bvals"] == [0, 1000]


def test_the_report_shows_each_map_and_loads_nothing(done):
    page = done[2].report.read_text()
    assert page.count("<img") == 4
    assert "fractional anisotropy" in page
    assert "Research use only" in page
    assert 'src="http' not in page
    assert "default-src 'none'" in page


def test_results_are_not_replaced_unless_asked(done):
    scan, _, outputs = done
    with pytest.raises(InputError, match="exists already"):
        run_dwi(scan, DwiConfig(), DwiInputs(), outputs.image.parent)


def test_gradients_elsewhere_are_named(done, tmp_path):
    scan = Path(shutil.copy(done[0], tmp_path / "other.nii.gz"))
    with pytest.raises(InputError, match="give --bval FILE"):
        run_dwi(scan, DwiConfig(), DwiInputs(), tmp_path)


def test_a_mirrored_grid_would_not_take_the_directions():
    thick, mirrored = AFFINE.copy(), AFFINE.copy()
    mirrored[0, 0] *= -1
    check_orientation(Grid((4, 4, 4), thick), Grid((4, 4, 4), thick))
    with pytest.raises(RuntimeError, match="axes"):
        check_orientation(Grid((4, 4, 4), thick), Grid((4, 4, 4), mirrored))
