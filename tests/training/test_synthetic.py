import pytest
import torch

from inversesr.training.synthetic import (
    LEFT_OF_RIGHT,
    SyntheticConfig,
    blur,
    draw_bias,
    draw_palette,
    is_brain,
    paint,
    paint_lesions,
)

PLAIN = SyntheticConfig(stripped=1.0, lesions=0.0, texture=0.0, bias=0.0, gamma=0.0)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def labels():
    """Left and right white matter in a skull, in air."""
    labels = torch.zeros((12, 14, 16), dtype=torch.int16)
    labels[1:11, 1:13, 1:15] = 515
    labels[2:6, 2:12, 2:14] = 2
    labels[6:10, 2:12, 2:14] = 41
    return labels


def test_the_same_seed_paints_the_same_image(labels):
    images = [paint(labels, SyntheticConfig(), torch.Generator().manual_seed(3)) for _ in "ab"]
    assert torch.equal(*images)


def test_images_are_finite_and_never_negative(labels, generator):
    for _ in range(20):
        image = paint(labels, SyntheticConfig(), generator)
        assert image.shape == labels.shape
        assert image.isfinite().all()
        assert image.min() >= 0.0


def test_a_stripped_image_is_black_away_from_the_brain(labels, generator):
    image = paint(labels, PLAIN, generator)
    assert image[0].abs().max() == 0.0 or image[0].max() < 0.2 * image.max()
    assert image[:, :, -1].max() < 1e-6 + 0.2 * image.max()


def test_both_halves_of_the_brain_look_alike(generator):
    palette = draw_palette(SyntheticConfig(), generator)
    assert torch.equal(palette[list(LEFT_OF_RIGHT)], palette[list(LEFT_OF_RIGHT.values())])
    assert palette[0] == 0.0


def test_lesions_stay_inside_the_brain(labels, generator):
    image = torch.rand(labels.shape, generator=generator)
    brain = is_brain(labels)
    changed = paint_lesions(image, brain, generator) != image
    assert changed.any()
    assert not changed[~brain].any()


def test_blurring_keeps_the_sum_of_an_image_with_a_dark_rim():
    image = torch.zeros(9, 9, 9)
    image[4, 4, 4] = 1.0
    assert float(blur(image, 0.8).sum()) == pytest.approx(1.0, abs=1e-6)


def test_a_bias_field_is_positive_and_smooth(generator):
    bias = draw_bias(torch.Size((16, 16, 16)), 0.2, generator)
    assert bias.min() > 0.0
    assert bias.diff(dim=0).abs().max() < 0.2
