import json
from importlib.util import find_spec

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.workflows import demo

needs_head = pytest.mark.skipif(
    find_spec("nilearn") is None, reason="the head comes with nilearn: pip install '.[demo]'"
)
SILENT = lambda _phase, _done, _total: None  # noqa: E731 (a progress that shows nothing)


@pytest.fixture
def small_head(monkeypatch):
    """The middle of the real head, at every second voxel, takes the place of the whole."""
    whole = demo._head()
    part = whole.slicer[60:140:2, 70:160:2, 60:140:2]
    coarse = nibabel.Nifti1Image(np.asarray(part.dataobj, np.float32), part.affine)
    monkeypatch.setattr(demo, "_head", lambda: coarse)
    return coarse


@needs_head
def test_the_demo_restores_scores_and_reports_a_real_head_and_replaces_nothing(
    small_head, tmp_path
):
    made = demo.run_demo(tmp_path, SILENT, force=False)
    assert made.scores["warmstart"].psnr_db > made.scores["spline"].psnr_db > 20
    assert set(made.scores) == set(demo.SOLVERS)
    assert json.loads(json.dumps(made.as_record()))["outputs"]["image"] == str(made.outputs.image)
    truth = nibabel.load(tmp_path / demo.TRUTH_NAME)
    np.testing.assert_allclose(truth.affine, small_head.affine)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert made.outputs.image in before
    with pytest.raises(InputError, match="exists already"):
        demo.run_demo(tmp_path, SILENT, force=False)
    assert {path: path.read_bytes() for path in before} == before


def test_without_nilearn_the_demo_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "nilearn.datasets", None)
    with pytest.raises(InputError, match=r"pip install 'inversesr\[demo\]'"):
        demo.run_demo(tmp_path / "new", SILENT, force=False)
    assert not (tmp_path / "new").exists()
