import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.nifti import read_scan


@pytest.fixture
def scan(tmp_path):
    """A scan without a sidecar."""
    voxels = np.random.default_rng(0).uniform(0, 1000, (7, 6, 5)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, 1.0, 4.0, 1.0])), tmp_path / "a.nii.gz")
    return tmp_path / "a.nii.gz"


def test_the_sidecar_beside_the_image_is_read(scan):
    scan.with_name("a.json").write_text('{"SliceThickness": 3.0}')
    assert read_scan(scan).sidecar == {"SliceThickness": 3.0}


def test_a_sidecar_may_begin_with_a_byte_order_mark(scan):
    scan.with_name("a.json").write_bytes(b"\xef\xbb\xbf" + b'{"SliceThickness": 5}')
    assert read_scan(scan).sidecar == {"SliceThickness": 5}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"{", "not readable JSON", id="broken"),
        pytest.param(b"\xff\xfe", "not readable JSON", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "not readable JSON", id="nested"),
        pytest.param(b"[1, 2]", "is no JSON object", id="list"),
    ],
)
def test_a_sidecar_that_cannot_be_used_is_refused(scan, content, sentence):
    scan.with_name("a.json").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_scan(scan)
