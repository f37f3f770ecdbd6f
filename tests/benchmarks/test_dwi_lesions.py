import numpy as np
import pytest
from scipy import ndimage

from inversesr.benchmarks import dwi, dwi_lesions
from inversesr.benchmarks.dwi import read_truth
from inversesr.benchmarks.dwi_lesions import TEXTURES_MM, grade_rows, with_lesions
from tests.support.diffusion import fine_head, write_series


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    return read_truth(write_series(folder, fine_head((20, 20, 20), 6, 5.0), affine=affine), 3)


def test_lesions_differ_in_grain_alone(truth, monkeypatch):
    monkeypatch.setattr(dwi, "RADIUS_MM", 9.0)
    grown, regions, kinds = with_lesions(truth, 2, np.random.default_rng(0))
    assert kinds == [False, True]
    outside = ~np.any(regions, axis=0)
    assert np.array_equal(grown.series.data[:, outside], truth.series.data[:, outside])
    # the change of the ADC, from one weighted volume
    change = -np.log(grown.series.data[1] / truth.series.data[1]) / truth.gradients.bvals[1]
    grain = []
    for region in regions:
        assert change[region].mean() == pytest.approx(dwi_lesions.LESION_SHIFT, rel=1e-3)
        assert change[region].std() == pytest.approx(dwi_lesions.TEXTURE_SD, rel=1e-3)
        inner = ndimage.binary_erosion(region)
        grain.append(np.abs(np.diff(change, axis=0))[inner[1:]].mean())
    assert TEXTURES_MM[0] < TEXTURES_MM[1]
    assert grain[1] < 0.8 * grain[0]


def test_grades_that_the_truth_tells_and_thick_slices_do_not():
    y = np.arange(40) % 2
    rng = np.random.default_rng(0)
    rows = grade_rows([rng.standard_normal(40), y + 0.1, y + 0.2], y, 2)
    assert rows[0].truth == 1.0
    assert rows[1].thin == pytest.approx(1.0 - rows[0].thick)
    assert rows[2].thin == pytest.approx(rows[1].thin / 2)
    assert rows[2].low < rows[2].thin < rows[2].high
