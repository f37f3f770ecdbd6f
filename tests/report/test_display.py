import base64
import gzip

import nibabel
import numpy as np
import pytest

from inversesr.report.display import Layer, coarsen, pack_layers, smoothest_axis
from inversesr.volume import Grid, Volume

AFFINE = np.array([[0, -1.0, 0, 9], [1.5, 0, 0, -4], [0, 0.0, 4.0, 30], [0, 0, 0, 1]])


def noisy(shape=(9, 8, 6)):
    data = np.random.default_rng(0).uniform(50, 100, shape).astype(np.float32)
    return Volume(data, Grid(shape, AFFINE))


def unpack(packed):
    """What the page makes of a text: the running sum of differences along one axis."""
    file = gzip.decompress(base64.b64decode(packed.text))
    image = nibabel.Nifti1Image.from_bytes(file)
    stored = np.asarray(image.dataobj)
    axis = next(
        a
        for a in range(3)
        if int(np.prod(stored.shape[:a])) == packed.stride and stored.shape[a] == packed.n_along
    )
    return np.cumsum(stored, axis=axis, dtype=np.uint8), image.affine


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_is_unpacked_is_the_window_in_256_levels_in_the_same_place(axis):
    data = np.moveaxis(np.sort(noisy().data, axis=0), 0, axis)
    volume = Volume(np.ascontiguousarray(data), Grid(data.shape, AFFINE))
    (packed,) = pack_layers([Layer("scan", volume, 60.0, 90.0)], 10**6)
    shown, affine = unpack(packed)
    np.testing.assert_allclose(affine, AFFINE, atol=1e-6)
    expected = np.clip((data - 60.0) / 30.0, 0.0, 1.0) * 255
    assert np.abs(shown - expected).max() <= 0.501
    assert not packed.is_coarser


def test_differences_are_stored_along_the_axis_where_neighbours_are_most_alike():
    ramp = np.broadcast_to(np.arange(7, dtype=np.uint8) * 30, (5, 6, 7))
    assert smoothest_axis(np.moveaxis(ramp, 2, 0)) != 0
    smooth = np.random.default_rng(0).integers(0, 255, (5, 6, 1), np.uint8).repeat(7, axis=2)
    for axis in range(3):
        assert smoothest_axis(np.moveaxis(smooth, 2, axis)) == axis


def test_layers_that_are_too_large_are_coarsened_until_they_fit_the_largest_first():
    small, large = noisy((6, 6, 6)), noisy((16, 16, 12))
    layers = [Layer("small", small, 50, 100), Layer("large", large, 50, 100)]
    whole = pack_layers(layers, 10**6)
    limit = sum(len(p.text) for p in whole) - 1
    first, second = pack_layers(layers, limit)
    assert len(first.text) + len(second.text) <= limit
    assert (first.is_coarser, second.is_coarser) == (False, True)
    assert second.spacing_mm == (1.5, 2.0, 4.0)


def test_a_map_is_coarsened_before_the_image_under_it():
    layers = [Layer("restored", noisy((16, 16, 12)), 50, 100)]
    layers.append(Layer("deviation", noisy((16, 16, 11)), 50, 100, "warm"))
    limit = sum(len(p.text) for p in pack_layers(layers, 10**6)) - 1
    image, deviation = pack_layers(layers, limit)
    assert (image.is_coarser, deviation.is_coarser) == (False, True)


@pytest.mark.parametrize("shape", [(9, 8, 6), (9, 7, 6)], ids=["even", "odd"])
def test_coarsening_averages_pairs_along_the_finest_axis_and_moves_nothing(shape):
    ramp = np.broadcast_to(np.arange(shape[1], dtype=np.float32)[:, None], shape).copy()
    volume = Volume(ramp, Grid(shape, AFFINE))
    coarse = coarsen(volume)
    assert coarse.data.shape == (9, -(-shape[1] // 2), 6)
    # a voxel's intensity is its position along the axis, before and after
    full = shape[1] // 2
    for k in range(full):
        fine_from_coarse = np.linalg.inv(AFFINE) @ coarse.grid.affine
        position = (fine_from_coarse @ [0, k, 0, 1])[1]
        assert coarse.data[0, k, 0] == pytest.approx(position)


def test_one_run_always_gives_the_same_text():
    layers = [Layer("scan", noisy(), 50, 100)]
    assert pack_layers(layers, 10**6) == pack_layers(layers, 10**6)
