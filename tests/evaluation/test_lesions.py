import numpy as np
import pytest

from inversesr.evaluation.lesions import (
    LEAST_SPREAD,
    Template,
    of_one_only,
    outcome,
    spots,
)

SHAPE = (24, 22, 26)
BOX = (slice(6, 15), slice(5, 14), slice(8, 17))
ISOTROPIC = (1.0, 1.0, 1.0)


def ball(radius, centre=(10, 9, 12)):
    axes = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    away = sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) ** 0.5
    return (away <= radius).astype(np.float32)


def template(change):
    return Template.of(BOX, change[BOX], np.ones_like(change[BOX], dtype=bool))


@pytest.fixture
def texture():
    return np.random.default_rng(0).normal(0, 1.0, SHAPE).astype(np.float32)


def test_the_truth_has_the_whole_contrast_and_an_image_without_the_lesion_has_none():
    change = 30.0 * ball(3)
    found = template(change)
    assert found.contrast(change) == pytest.approx(1.0)
    assert found.contrast(0.4 * change) == pytest.approx(0.4)
    assert found.contrast(np.zeros(SHAPE)) == 0.0
    assert found.contrast(-change) == pytest.approx(-1.0)


def test_a_change_of_the_whole_surroundings_is_no_contrast():
    change = 30.0 * ball(3)
    assert template(change).contrast(change + 100.0) == pytest.approx(1.0)


def test_a_lesion_that_adds_nothing_is_found_nowhere(texture):
    assert template(np.zeros(SHAPE, dtype=np.float32)).contrast(texture) == 0.0


def test_the_spread_is_what_the_template_makes_of_the_differences_elsewhere(texture):
    change = 30.0 * ball(3)
    found = template(change)
    free = ball(3) == 0.0
    # independent voxels: the deviation of a weighted sum is the norm of its weights
    expected = float(np.sqrt(np.square(found.weights).sum()))
    for scale in (1.0, 3.0):
        got = found.spread(scale * texture, free, np.random.default_rng(1))
        assert got == pytest.approx(scale * expected, rel=0.35)


def test_without_any_difference_elsewhere_the_spread_is_the_least_that_counts():
    change = 30.0 * ball(3)
    rng = np.random.default_rng(0)
    nothing, nowhere = np.zeros(SHAPE), np.zeros(SHAPE, dtype=bool)
    assert template(change).spread(nothing, ~nowhere, rng) == LEAST_SPREAD
    assert template(change).spread(change, nowhere, rng) == LEAST_SPREAD


@pytest.mark.parametrize(
    ("measured", "found", "noise", "expected"),
    [
        (0.6, 0.6, 9.0, "kept"),
        (0.6, 0.31, 9.0, "kept"),
        (0.6, 0.29, 9.0, "missed"),
        (0.6, 0.6, 2.9, "missed"),
        (0.6, 0.0, 0.0, "missed"),
        (0.05, 0.9, 9.0, "not measured"),
    ],
)
def test_a_lesion_is_kept_with_half_of_what_the_slices_show_of_it(
    measured, found, noise, expected
):
    assert outcome(measured, found, noise) == expected


@pytest.fixture
def anatomy(texture):
    return (100.0 + texture).astype(np.float32)


def found_in(image, truth, inside=None, spacing_mm=ISOTROPIC):
    inside = np.ones(SHAPE, dtype=bool) if inside is None else inside
    return spots(image, truth, inside, spacing_mm, least_contrast=20.0)


def test_the_truth_has_no_spot(anatomy):
    assert found_in(anatomy, anatomy) == []


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_was_added_is_one_spot_of_its_contrast_size_and_place(anatomy, sign):
    (spot,) = found_in(anatomy + sign * 30.0 * ball(3), anatomy)
    assert spot.contrast == pytest.approx(sign * 30.0, abs=1.0)
    n = ball(3).sum()
    assert spot.diameter_mm == pytest.approx(np.cbrt(6.0 / np.pi * n), rel=0.01)
    assert spot.centre == pytest.approx((10, 9, 12), abs=0.01)


def test_small_faint_and_outlying_parts_are_no_spots(anatomy):
    one_voxel = np.zeros(SHAPE, dtype=np.float32)
    one_voxel[10, 9, 12] = 60.0
    assert found_in(anatomy + one_voxel, anatomy) == []
    assert len(found_in(anatomy + one_voxel, anatomy, spacing_mm=(2.0, 2.0, 2.0))) == 1
    assert found_in(anatomy + 15.0 * ball(3), anatomy) == []
    assert found_in(anatomy + 30.0 * ball(3), anatomy, inside=ball(4) == 0.0) == []


def test_a_structure_of_the_truth_that_is_sharpened_is_no_spot(anatomy):
    truth = anatomy + 20.0 * ball(3)
    assert found_in(truth + 15.0 * ball(3), truth) == []


def test_an_edge_that_is_displaced_is_no_spot(anatomy):
    step, moved = anatomy.copy(), anatomy.copy()
    step[..., 13:] += 25.0
    moved[..., 12:] += 25.0
    assert found_in(moved, step) == []


def test_a_spot_that_another_image_has_too_is_not_alone(anatomy):
    here, there = (
        found_in(anatomy + 30.0 * ball(3, c), anatomy) for c in ((10, 9, 12), (11, 9, 13))
    )
    (far,) = found_in(anatomy + 30.0 * ball(3, (10, 15, 20)), anatomy)
    (dark,) = found_in(anatomy - 30.0 * ball(3), anatomy)
    spacing = np.ones(3)
    assert of_one_only(here, there, spacing) == []
    assert of_one_only(here, [far, dark], spacing) == here
