"""b-values and directions fit their series, or are refused in a sentence."""

import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.gradients import Gradients, gradient_files, read_gradients, read_series
from tests.support.diffusion import fine_head, thickened, weighting, write_series


@pytest.fixture
def path(tmp_path):
    return write_series(tmp_path, thickened(fine_head((6, 7, 8), n=6), 2))


def read(path, n=7):
    return read_gradients(*gradient_files(path, None, None), n, path.name)


def test_a_series_is_read_with_volumes_first(path):
    series = read_series(path)
    assert series.data.shape == (7, 6, 7, 4)
    expected = thickened(fine_head((6, 7, 8), n=6), 2)
    np.testing.assert_allclose(series.data, expected, rtol=1e-6)


def test_gradients_are_those_of_the_files(path):
    bvals, bvecs = weighting(6)
    found = read(path)
    np.testing.assert_allclose(found.bvals, bvals)
    np.testing.assert_allclose(found.bvecs, bvecs, atol=1e-6)
    assert found.is_b0.tolist() == [True] + 6 * [False]
    assert found.has_directions


def test_directions_in_columns_are_read_too(path):
    file = path.parent / "sub-01_dwi.bvec"
    np.savetxt(file, np.loadtxt(file).T)
    np.testing.assert_allclose(read(path).bvecs, weighting(6)[1], atol=1e-6)


def test_directions_in_one_plane_give_no_tensor():
    turn = np.linspace(0, np.pi, 8)
    flat = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    assert not Gradients(
        np.r_[0.0, np.full(8, 1e3)], np.vstack([np.zeros(3), flat])
    ).has_directions


@pytest.mark.parametrize(
    ("bval", "bvec", "told"),
    [
        ("0 1000 1000", None, "has 3 b-values and sub-01_dwi.nii.gz has 7 volumes"),
        ("1000 " * 7, None, "has no b-value up to 50"),
        ("0 " * 7, None, "has no b-value above 50"),
        ("0 " + "-5 " * 6, None, "holds -5; expected b-values of at least 0"),
        ("0 a b c d e f", None, "holds text that is no number"),
        ("", None, "is empty"),
        (None, "0 1\n0 0\n0 0", "has 3 rows of 2 numbers; expected 3 rows of 7"),
        (None, "0 1 1 1 1 1 1\n" * 2, "has 2 rows of 7 numbers"),
        (None, "0 3 1 1 1 1 1\n0 0 0 0 0 0 0\n0 0 0 0 0 0 0", "length 3 for volume 1"),
    ],
)
def test_what_does_not_fit_is_refused(path, bval, bvec, told):
    for ending, text in (("bval", bval), ("bvec", bvec)):
        if text is not None:
            (path.parent / f"sub-01_dwi.{ending}").write_text(text)
    with pytest.raises(InputError, match=told):
        read(path)


def test_a_file_that_is_missing_is_named(path):
    (path.parent / "sub-01_dwi.bval").unlink()
    with pytest.raises(InputError, match="give --bval FILE"):
        read(path)


def test_one_volume_is_no_series(tmp_path):
    path = write_series(tmp_path, fine_head((6, 7, 8), n=1)[:1], "one")
    with pytest.raises(InputError, match="expected a 4D series"):
        read_series(path)


def test_a_volume_without_content_is_named(tmp_path):
    data = thickened(fine_head((6, 7, 8), n=2), 2)
    data[2] = 0.0
    with pytest.raises(InputError, match="volume 2, holds only zeros"):
        read_series(write_series(tmp_path, data))
