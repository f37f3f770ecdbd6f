from dataclasses import replace

import numpy as np
import pytest

from inversesr.benchmarks import dwi
from inversesr.benchmarks.dwi import (
    compare,
    measure_maps,
    measure_radiomics,
    read_truth,
    thickened,
)
from inversesr.errors import InputError
from tests.support.diffusion import fine_head, write_series


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    return read_truth(write_series(folder, fine_head((20, 20, 20), 6, 5.0), affine=affine), 3)


def test_directions_are_left_out_but_never_b0(truth):
    assert truth.gradients.is_b0.tolist() == [True, False, False, False]
    assert len(truth.series.data) == 4


def test_thick_slices_are_means_in_the_same_place(truth):
    thick, whole = thickened(truth, 3)
    assert whole.series.data.shape[3] == 18
    expected = whole.series.data[..., 3:6].mean(axis=3)
    np.testing.assert_allclose(thick.data[..., 1], expected, rtol=1e-5)
    # the middle of the second thick slice is the fifth thin one
    fine, coarse = (s.scan.volume.grid.affine for s in (whole.series, thick))
    np.testing.assert_allclose(coarse @ [0, 0, 1, 1], fine @ [0, 0, 4, 1], atol=1e-9)
    with pytest.raises(InputError, match="expected at least 4"):
        thickened(truth, 6)


def test_maps_and_features_are_compared(truth, monkeypatch):
    monkeypatch.setattr(dwi, "RADIUS_MM", 8.0)
    compared = compare(truth, 2)
    rows = {row.measure: row for row in measure_maps(compared, 2)}
    adc = rows["adc, root mean square error"]
    assert adc.thin > 0.0
    assert adc.thick > 0.0
    # a restoration that is the truth has no error
    perfect = replace(compared, thin=compared.truth.series.data)
    assert measure_maps(perfect, 2)[0].thin == 0.0
    assert measure_radiomics(perfect, 2, n_regions=6)[0].thin == pytest.approx(1.0)
    features = measure_radiomics(compared, 2, n_regions=6)
    assert len(features) > 30
    assert 0.0 <= features[-1].thin <= 1.0
