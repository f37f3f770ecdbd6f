from dataclasses import replace

import pytest
import torch

from inversesr.training.brain_labels import LabelledHead
from inversesr.training.head_examples import (
    HeadConfig,
    add_noise,
    deface,
    draw_field_of_view,
    draw_head,
    draw_places,
    paint_head,
    rotation,
    thick_slices,
)
from inversesr.training.synthetic import SyntheticConfig

PLAIN = SyntheticConfig(stripped=0.0, lesions=0.0, texture=0.0, bias=0.0, gamma=0.0)
STILL = HeadConfig(
    shape=(24, 28, 26), contrast=PLAIN, degrees=0.0, scaling=0.0, shift_mm=0.0, warp_mm=0.0,
    thick=0.0, max_noise=0.0, cropped=0.0, dark_skull=0.0, defaced=0.0,
)  # fmt: skip


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def box(margin, n=48):
    labels = torch.zeros((n, n, n), dtype=torch.bool)
    labels[margin:-margin, margin:-margin, margin:-margin] = True
    return labels


@pytest.fixture
def head():
    """A cube of white matter in a cube of skull, in air."""
    labels = torch.where(box(12), 2, torch.where(box(6), 515, 0)).to(torch.int16)
    share = torch.nn.functional.avg_pool3d(box(12)[None].float(), 2)[0]
    return LabelledHead("a", labels, (255.0 * share).round().byte())


def test_image_and_mask_lie_in_the_same_place(head, generator):
    for _ in range(5):
        moved = replace(STILL, degrees=20.0, scaling=0.1, shift_mm=3.0, warp_mm=2.0)
        drawn = draw_head([head], replace(moved, contrast=replace(PLAIN, stripped=1.0)), generator)
        inside, outside = drawn.mask > 0.99, drawn.mask < 0.01
        assert drawn.image.shape == drawn.mask.shape == (1, 1, 24, 28, 26)
        assert drawn.image[inside].min() > 0.5
        assert drawn.image[outside].max() < 0.3


def test_the_same_seed_draws_the_same_head(head):
    drawn = [
        draw_head([head], HeadConfig(shape=STILL.shape), torch.Generator().manual_seed(n))
        for n in (3, 3, 4)
    ]
    assert torch.equal(drawn[0].image, drawn[1].image)
    assert not torch.equal(drawn[0].image, drawn[2].image)


def test_a_stripped_head_is_black_outside_the_brain(head, generator):
    image = paint_head(head, replace(STILL, contrast=replace(PLAIN, stripped=1.0)), generator)
    assert image.shape == head.mask.shape
    assert image[:5].max() < 1e-4
    assert image[12, 12, 12] > 0.0


def test_the_skull_is_dark_where_it_should_be(head):
    levels = {}
    for dark in (0.0, 1.0):
        config = replace(STILL, dark_skull=dark)
        drawn = [paint_head(head, config, torch.Generator().manual_seed(n)) for n in range(20)]
        levels[dark] = torch.stack([image[4, 12, 12] for image in drawn]).mean()
    assert levels[1.0] < 0.5 * levels[0.0]


def test_a_rotation_turns_and_does_not_stretch(generator):
    matrix = rotation(20.0, generator)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(3))
    assert torch.linalg.det(matrix) == pytest.approx(1.0)
    assert not torch.allclose(matrix, torch.eye(3))
    assert torch.equal(rotation(0.0, generator), torch.eye(3))


def test_places_without_motion_are_the_voxels_themselves(generator):
    places = draw_places(torch.Size((24, 28, 26)), STILL, generator)
    image = torch.rand((1, 1, 24, 28, 26), generator=generator)
    found = torch.nn.functional.grid_sample(image, places, align_corners=True)
    torch.testing.assert_close(found, image, rtol=1e-3, atol=1e-4)


def test_thick_slices_keep_a_constant_and_the_mean_and_lose_detail(generator):
    for thickness in (1.0, 2.0, 3.3):
        matrix = thick_slices(60, thickness, generator)
        torch.testing.assert_close(matrix.sum(dim=1), torch.ones(60))
        ramp = torch.arange(60.0)
        inner = slice(6, -6)
        torch.testing.assert_close((matrix @ ramp)[inner], ramp[inner], atol=0.3, rtol=0.0)
    stripes = torch.arange(60) % 2 * 2.0 - 1.0
    assert (thick_slices(60, 4.0, generator) @ stripes).abs().max() < 0.6


def test_noise_is_that_of_a_magnitude(generator):
    image = torch.full((40, 40, 40), 1.0)
    noisy = add_noise(image, 0.1, generator)
    assert float(noisy.std()) == pytest.approx(0.1, rel=0.05)
    assert float(add_noise(0.0 * image, 0.1, generator).min()) >= 0.0


def test_a_face_is_cut_away_and_no_brain(generator):
    image, mask = torch.ones((24, 28, 26)), torch.zeros((24, 28, 26))
    mask[8:16, 6:14, 14:22] = 1.0
    for _ in range(10):
        defaced = deface(image, mask, generator)
        assert defaced[mask > 0].min() == 1.0
        assert defaced[12, -1, 0] == 0.0


def test_the_field_of_view_ends_near_the_brain_or_nowhere(generator):
    mask = torch.zeros((24, 28, 26))
    mask[8:16, 6:14, 12:22] = 1.0
    assert draw_field_of_view(mask, STILL, generator) == (slice(0, 24), slice(0, 28), slice(0, 26))
    cut = replace(STILL, cropped=1.0)
    for _ in range(20):
        sides = draw_field_of_view(mask, cut, generator)
        assert mask[sides].sum() > 0.1 * mask.sum()


def test_outside_the_field_of_view_there_is_neither_head_nor_brain(head, generator):
    drawn = draw_head([head], replace(STILL, cropped=1.0), generator)
    empty = (drawn.image[0, 0] == 0).all(dim=2).all(dim=1)
    assert (drawn.mask[0, 0][empty] == 0).all()
