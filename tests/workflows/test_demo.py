import json

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.volume import Grid, Volume
from inversesr.workflows import demo

SILENT = lambda _phase, _done, _total: None  # noqa: E731 (a progress that shows nothing)


@pytest.fixture
def small_head(monkeypatch):
    """The middle of the real head, at every second voxel, takes the place of the whole."""
    whole = demo._head().volume
    data = np.ascontiguousarray(whole.data[60:140:2, 70:160:2, 60:140:2])
    affine = whole.grid.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (whole.grid.affine @ [60, 70, 60, 1])[:3]
    coarse = Scan.made_here(Volume(data, Grid(data.shape, affine)))
    monkeypatch.setattr(demo, "_head", lambda: coarse)
    return coarse.volume.grid


def test_the_demo_restores_scores_and_reports_a_real_head_and_replaces_nothing(
    small_head, tmp_path
):
    made = demo.run_demo(tmp_path, SILENT, force=False)
    assert made.scores["diffusion"].psnr_db > made.scores["spline"].psnr_db > 20
    assert set(made.scores) == set(demo.SOLVERS)
    assert json.loads(json.dumps(made.as_record()))["outputs"]["image"] == str(made.outputs.image)
    truth = nibabel.load(tmp_path / demo.TRUTH_NAME)
    np.testing.assert_allclose(truth.affine, small_head.affine)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert made.outputs.image in before
    with pytest.raises(InputError, match="exists already"):
        demo.run_demo(tmp_path, SILENT, force=False)
    assert {path: path.read_bytes() for path in before} == before


def test_the_head_is_the_mni152_template_that_nilearn_carries():
    datasets = pytest.importorskip("nilearn.datasets", reason="the extra [notebooks] is missing")
    template = datasets.load_mni152_template(resolution=1)
    head = demo._head().volume
    assert np.array_equal(head.data, template.get_fdata(dtype=np.float32))
    assert np.array_equal(head.grid.affine, template.affine)
