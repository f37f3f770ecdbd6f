from dataclasses import replace

import pytest
import torch

from inversesr.training import device_contrast, synthetic
from inversesr.training.device_contrast import blur, paint, vary_contrast
from inversesr.training.synthetic import SyntheticConfig

PLAIN = SyntheticConfig(stripped=0.0, lesions=0.0, texture=0.0, bias=0.0, gamma=0.0, blur=0.31)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def painted(labels, config, generator):
    return paint(labels, config, generator, torch.Generator().manual_seed(7))


def test_each_image_is_blurred_by_its_own_gaussian(generator):
    images = torch.rand((3, 9, 10, 11), generator=generator)
    sigma = torch.tensor([0.3, 0.8, 1.4])
    found = blur(images, sigma[:, None, None, None])
    for image, one, s in zip(images, found, sigma.tolist(), strict=True):
        torch.testing.assert_close(one, synthetic.blur(image, s))


def test_one_label_has_one_brightness_and_twins_of_both_sides_share_it(generator):
    labels = torch.tensor([2, 41, 3, 42, 10, 49]).repeat_interleave(216).reshape(1, 6, 6, 36)
    image = painted(labels.reshape(1, 36, 6, 6), PLAIN, generator)[0].reshape(6, 6, 6, 6)
    inner = image[:, 2:4, 2:4, 2:4].flatten(1)
    torch.testing.assert_close(inner[0], inner[1], atol=0.05, rtol=0.0)
    assert float((inner[0].mean() - inner[2].mean()).abs()) > 0.0


def test_no_two_patches_of_a_batch_are_painted_alike(generator):
    labels = torch.full((2, 8, 8, 8), 17)
    first, second = painted(labels, PLAIN, generator)
    assert float((first - second).abs().min()) > 0.0


def test_stripped_heads_have_nothing_outside_the_brain(generator):
    labels = torch.full((4, 8, 8, 8), 600)
    assert not painted(labels, replace(PLAIN, stripped=1.0), generator).any()
    assert bool((painted(labels, PLAIN, generator) > 0.0).any())


def test_lesions_change_brain_alone(generator):
    labels = torch.zeros((4, 24, 24, 24), dtype=torch.int64)
    labels[:, 6:18] = 2
    image = torch.full(labels.shape, 0.5)
    changed = device_contrast.paint_lesions(image, labels > 0, generator) != image
    assert bool(changed[:, 6:18].any())
    assert not bool(changed[:, :6].any())


def test_background_stays_dark_whatever_the_contrast(generator):
    patches = torch.zeros((20, 6, 6, 6))
    patches[:, 3:] = 0.6
    varied = vary_contrast(patches, generator)
    assert not varied[:, :3].any()
    assert bool((varied[:, 3:] > 0.0).all())


def test_some_contrasts_are_inverted(generator):
    patches = torch.zeros((200, 2, 2, 2))
    patches[:, 0], patches[:, 1] = 0.2, 0.9
    varied = vary_contrast(patches, generator)
    inverted = (varied[:, 0].mean((1, 2)) > varied[:, 1].mean((1, 2))).float().mean()
    assert 0.04 < float(inverted) < 0.2
