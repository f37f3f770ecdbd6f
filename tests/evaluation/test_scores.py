import numpy as np
import pytest

from inversesr.acquisition.foreground import foreground
from inversesr.errors import InputError
from inversesr.evaluation.metrics import intensity_range, nmse, psnr, ssim
from inversesr.evaluation.scores import score_volume
from inversesr.volume import Grid, Volume

SHAPE = (24, 22, 20)
AFFINE = np.array([[0.0, -1.2, 0.0, 7.0], [1.1, 0.0, 0.0, -3.0], [0, 0, 1.3, 2.0], [0, 0, 0, 1.0]])


def smooth(i, j, k):
    """A blob with an offset of zero far from its middle."""
    radius2 = ((i - 12) / 5) ** 2 + ((j - 11) / 5) ** 2 + ((k - 10) / 4) ** 2
    return (100.0 * np.exp(-radius2)).astype(np.float32)


@pytest.fixture
def truth():
    return Volume(smooth(*np.indices(SHAPE)), Grid(SHAPE, AFFINE))


def noisy(volume):
    rng = np.random.default_rng(0)
    return volume.with_data(volume.data + rng.normal(0.0, 3.0, volume.data.shape))


def shifted(affine, voxels):
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ np.array(voxels, dtype=float)
    return moved


def test_scores_are_those_of_the_metrics(truth):
    image = noisy(truth)
    scores = score_volume(image, truth)
    mask, data_range = foreground(truth.data), intensity_range(truth.data)
    assert scores.psnr_db == psnr(image.data, truth.data, mask, data_range)
    assert scores.ssim == ssim(image.data, truth.data, mask, data_range)
    assert scores.nmse == nmse(image.data, truth.data, mask)
    assert scores.n_voxels == int(mask.sum())
    assert not scores.resampled


def test_a_cropped_image_is_shifted_not_interpolated(truth):
    cut = (slice(2, 22), slice(1, 21), slice(3, 20))
    data = truth.data[cut]
    image = Volume(data, Grid(data.shape, shifted(AFFINE, (2, 1, 3))))
    inside = np.zeros(SHAPE, dtype=bool)
    inside[cut] = True
    scores = score_volume(image, truth)
    assert scores.psnr_db == float("inf")
    assert not scores.resampled
    assert scores.n_voxels == int((foreground(truth.data) & inside).sum())


def covering(truth, share):
    """A part of the truth that has a share of a mask, and that mask; beyond it lies more head."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[4:24, 5:17, 4:16] = True
    n = 4 + round(20 * share)
    return Volume(truth.data[:n], Grid((n, *SHAPE[1:]), AFFINE)), mask


def test_only_what_the_image_covers_is_compared(truth):
    part, mask = covering(truth, 0.75)
    scores = score_volume(part, truth, mask)
    assert scores.n_voxels == round(0.75 * mask.sum())
    assert scores.nmse == 0.0
    assert scores.psnr_db == float("inf")


def test_an_image_must_cover_half_of_what_is_compared(truth):
    part, mask = covering(truth, 0.55)
    assert score_volume(part, truth, mask).nmse == 0.0
    part, mask = covering(truth, 0.45)
    with pytest.raises(InputError, match="covers 45% of the truth"):
        score_volume(part, truth, mask)


def test_other_voxel_orders_of_the_same_image_score_the_same(truth):
    image = noisy(truth)
    turned_affine = AFFINE @ np.array(
        [[0, 0, -1.0, SHAPE[0] - 1], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]]
    )
    turned_data = np.ascontiguousarray(image.data[::-1].transpose(2, 1, 0))
    turned = Volume(turned_data, Grid(turned_data.shape, turned_affine))
    assert score_volume(turned, truth).psnr_db == pytest.approx(
        score_volume(image, truth).psnr_db, abs=0.01
    )


def test_an_image_between_the_voxels_is_interpolated(truth):
    i, j, k = np.indices(SHAPE)
    image = Volume(smooth(i + 0.5, j - 0.25, k), Grid(SHAPE, shifted(AFFINE, (0.5, -0.25, 0.0))))
    scores = score_volume(image, truth)
    assert scores.resampled
    assert scores.psnr_db > 55.0
    as_if_not_shifted = Volume(image.data, truth.grid)
    assert score_volume(as_if_not_shifted, truth).psnr_db < 40.0


def test_a_coarser_image_is_interpolated(truth):
    image = Volume(truth.data[::2, ::2, ::2], Grid((12, 11, 10), AFFINE @ np.diag([2, 2, 2, 1.0])))
    scores = score_volume(image, truth)
    assert scores.resampled
    assert 30.0 < scores.psnr_db < 80.0


def test_only_the_mask_is_compared(truth):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[8:16, 8:16, 8:14] = True
    spoilt = truth.with_data(np.where(mask, truth.data, 500.0))
    scores = score_volume(spoilt, truth, mask)
    assert scores.nmse == 0.0
    assert scores.n_voxels == int(mask.sum())


@pytest.mark.parametrize("voxels", [(15, 0, 0), (100, 100, 100)])
def test_an_image_elsewhere_is_refused(truth, voxels):
    image = Volume(truth.data, Grid(SHAPE, shifted(AFFINE, voxels)))
    mask = np.zeros(SHAPE, dtype=bool)
    mask[:14] = True
    with pytest.raises(InputError, match="same space"):
        score_volume(image, truth, mask)


def test_an_empty_or_tiny_mask_is_refused(truth):
    mask = np.zeros(SHAPE, dtype=bool)
    with pytest.raises(InputError, match="covers 0%"):
        score_volume(truth, truth, mask)
    mask[10:12, 10:12, 10:12] = True
    with pytest.raises(InputError, match="covers"):
        score_volume(truth, truth, mask)


def test_an_image_too_small_for_ssim_is_refused_in_one_sentence():
    data = np.random.default_rng(0).uniform(1, 2, (30, 20, 10)).astype(np.float32)
    small = Volume(data, Grid(data.shape, np.eye(4)))
    with pytest.raises(InputError, match="expected at least 11 voxels along each axis"):
        score_volume(small, small)
