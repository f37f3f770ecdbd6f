from pathlib import Path

import nibabel
import numpy as np
import pytest

from inversesr.io import formats
from inversesr.io.checks import SUFFIXES
from inversesr.io.formats import READERS, reader_of
from inversesr.io.nifti import read_scan


@pytest.mark.parametrize("endings", READERS, ids=" ".join)
def test_every_format_has_a_module_that_reads_it_and_is_known_as_an_image(endings):
    for ending in endings:
        assert callable(reader_of(Path(f"scan{ending.upper()}")).load)
        assert ending in SUFFIXES


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.mgz", "scan.hdr", "nrrd"])
def test_nibabel_reads_the_others(name):
    assert reader_of(Path(name)) is None


def test_a_scan_is_what_the_module_of_its_format_returns(tmp_path, monkeypatch):
    data = np.random.default_rng(0).uniform(1, 2, (6, 5, 4)).astype(np.float32)
    image = nibabel.Nifti1Image(data, np.diag([1.0, 1.0, 3.0, 1.0]))
    module = type("Module", (), {"load": staticmethod(lambda _path: image)})
    monkeypatch.setattr(formats, "import_module", lambda _name: module)
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0004\n")
    scan = read_scan(tmp_path / "scan.nrrd")
    np.testing.assert_allclose(scan.volume.data, data, rtol=1e-6)
    assert scan.volume.grid.spacing_mm == (1.0, 1.0, 3.0)
