from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch

from inversesr.training.heads import (
    INSIDE,
    OUTER_FLUID,
    Head,
    HeadConfig,
    add_noise,
    box_of_content,
    break_tissues,
    draw_example,
    draw_field_of_view,
    draw_linear,
    mask_of_labels,
    read_head,
    sample_labels,
    thicken,
)
from inversesr.training.synthetic import SyntheticConfig

TISSUE, SKULL, VESSEL = 3, 515, 508
STILL = HeadConfig(
    shape=(16, 16, 16), rotation_degrees=0.0, scaling=0.0, bending_mm=0.0, shift_mm=(0, 0, 0)
)
CALM = replace(
    STILL, stripped=0.0, cropped=0.0, thick=0.0, partial=0.0, noisy=0.0,
    contrast=SyntheticConfig(stripped=0.0, texture=0.0, lesions=0.0, blur=0.31),
)  # fmt: skip


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def head_labels(n=64):
    """Brain of radius 14, fluid to 20, skull to 24, a slit of fluid and a vessel through all."""
    axes = np.meshgrid(*[np.arange(n) - n // 2] * 3, indexing="ij")
    distance = sum(a**2 for a in axes) ** 0.5
    labels = np.zeros((n, n, n), dtype=np.int16)
    labels[distance <= 24] = SKULL
    labels[distance <= 20] = OUTER_FLUID
    labels[distance <= 14] = TISSUE
    labels[(distance <= 14) & (abs(axes[0]) <= 2)] = OUTER_FLUID
    labels[(distance <= 14) & (abs(axes[0]) <= 2) & (axes[2] < -8)] = TISSUE
    labels[abs(axes[1]) + abs(axes[2]) <= 1] = VESSEL
    labels[2, 2, 2] = OUTER_FLUID
    return labels, distance


def small_head():
    labels = np.zeros((32, 32, 32), dtype=np.int16)
    labels[4:28, 6:26, 8:30] = SKULL
    labels[8:20, 10:22, 12:26] = INSIDE + TISSUE
    return Head(torch.from_numpy(labels), (1.0, 1.0, 1.0), (15.5, 15.5, 15.5))


def test_the_taught_mask_bridges_sulci_and_leaves_out_far_fluid_skull_and_specks():
    labels, distance = head_labels()
    mask = mask_of_labels(labels, (1.0, 1.0, 1.0))
    assert mask[labels == TISSUE].all()
    assert mask[(labels == OUTER_FLUID) & (distance < 11)].all()
    assert mask[(labels == VESSEL) & (distance < 7)].all()
    assert not mask[distance > 17].any()
    assert not mask[labels == SKULL].any()


def test_a_head_is_read_with_ras_axes_and_its_brain_marked(tmp_path):
    labels, _ = head_labels()
    lia = np.array([[-1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=float)
    nibabel.save(nibabel.Nifti1Image(labels, lia), tmp_path / "a_seg.nii.gz")
    head = read_head(tmp_path / "a_seg.nii.gz")
    expected = np.flip(labels.transpose(0, 2, 1), (0, 2))
    assert np.array_equal(head.labels.numpy() % INSIDE, expected)
    assert head.centre == pytest.approx((31, 32, 31), abs=1.0)
    assert int((head.labels >= INSIDE).sum()) == mask_of_labels(labels, (1.0, 1.0, 1.0)).sum()


def test_a_head_that_is_not_moved_is_every_second_voxel_of_its_label_map():
    head = small_head()
    sampled = sample_labels(head, STILL, generator())
    upright = head.labels.long()
    views = [v[i::2, j::2, k::2] for v in (upright, upright.flip(0))
             for i in (0, 1) for j in (0, 1) for k in (0, 1)]  # fmt: skip
    assert any(torch.equal(sampled, view) for view in views)


def test_beyond_the_label_map_there_is_background():
    sampled = sample_labels(small_head(), replace(STILL, shape=(48, 16, 16)), generator())
    assert not sampled[:8].any()
    assert sampled[20:28].any()


@pytest.mark.parametrize("seed", range(4))
def test_without_scaling_the_linear_map_is_a_rotation_or_a_mirrored_one(seed):
    linear = draw_linear(replace(STILL, rotation_degrees=30.0), generator(seed))
    assert torch.allclose(linear @ linear.T, torch.eye(3), atol=1e-6)


def test_the_image_and_the_mask_of_an_example_lie_upon_each_other():
    example = draw_example([small_head()], replace(CALM, stripped=1.0), generator())
    assert torch.equal(example.image > 0.05, example.brain > 0)
    assert example.image.shape == (1, 1, 16, 16, 16)


def test_the_same_seed_draws_the_same_example():
    first, second = (draw_example([small_head()], HeadConfig(), generator(3)) for _ in range(2))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.brain, second.brain)


def test_what_was_not_scanned_is_zero_as_padding_is():
    config = replace(CALM, partial=1.0, noisy=1.0, max_noise=0.3)
    examples = [draw_example([small_head()], config, generator(seed)) for seed in range(8)]
    assert any((example.scanned == 0).any() for example in examples)
    for example in examples:
        assert not example.image[example.scanned == 0].any()
        assert example.scanned.any()


def test_a_field_of_view_is_a_slab():
    for seed in range(8):
        seen = draw_field_of_view(torch.ones((10, 10, 10), dtype=torch.bool), generator(seed))
        filled = [seen.any(dim=2).any(dim=1), seen.any(dim=2).any(dim=0), seen.any(1).any(0)]
        assert int(seen.sum()) == np.prod([int(f.sum()) for f in filled])


def test_a_stripped_head_may_be_cropped_to_its_brain():
    config = replace(CALM, stripped=1.0, cropped=1.0)
    example = draw_example([small_head()], config, generator())
    found = example.brain[0, 0].nonzero()
    sides = found.max(dim=0).values - found.min(dim=0).values + 1
    assert int(example.scanned.sum()) == int(sides.prod()) < example.scanned.numel()
    assert (example.scanned[example.brain > 0] == 1).all()


def test_the_box_of_nothing_is_everything():
    assert box_of_content(torch.zeros((3, 4, 5), dtype=torch.bool)).all()


def test_breaking_tissues_leaves_the_brain_and_the_background_alone():
    labels = small_head().labels.long() % INSIDE
    broken = break_tissues(labels, 4, generator(1))
    assert torch.equal(broken[labels < 500], labels[labels < 500])
    assert len(broken[labels == SKULL].unique()) > 1
    assert int(broken.max()) < INSIDE


@pytest.mark.parametrize("axis", range(3))
def test_thick_slices_blur_across_themselves_only(axis):
    image = torch.rand((24, 24, 24), generator=generator()).cumsum(0).cumsum(1).cumsum(2)
    ramp = torch.arange(24.0).reshape([-1 if a == axis else 1 for a in range(3)])
    other = (axis + 1) % 3
    along = torch.arange(24.0).reshape([-1 if a == other else 1 for a in range(3)])
    thick = thicken(along.expand(24, 24, 24).contiguous(), 6.0, axis)
    assert torch.allclose(thick, along.expand(24, 24, 24), atol=1e-4)
    step = (ramp >= 12).float().expand(24, 24, 24).contiguous()
    blurred = thicken(step, 6.0, axis)
    assert 0.0 < float(blurred.select(axis, 11).mean()) < 0.5
    assert float(thicken(image, 6.0, axis).mean()) == pytest.approx(float(image.mean()), rel=0.05)


def test_noise_of_no_strength_changes_nothing_and_noise_lifts_the_background():
    image = torch.rand((8, 8, 8), generator=generator())
    assert torch.allclose(add_noise(image, 0.0, generator()), image)
    dark = add_noise(torch.zeros(32, 32, 32), 0.1, generator())
    assert float(dark.mean()) == pytest.approx(0.1 * (np.pi / 2) ** 0.5, rel=0.02)
