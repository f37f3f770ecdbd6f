from collections import Counter

import numpy as np
import pytest

from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.lesion_painting import (
    APART_MM,
    KINDS,
    MOST_IN_ONE_SCENE,
    Lesion,
    Slots,
    all_lesions,
    around,
    inside_brain,
    paint,
    place_scenes,
    slots_of,
    with_lesions,
)
from inversesr.errors import InputError
from inversesr.volume import Grid, Volume

SHAPE = (40, 38, 42)
SPACING = (1.0, 1.0, 1.0)
LEVEL = 100.0


@pytest.fixture(scope="module")
def head():
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    inside = sum(a**2 for a in axes) < 0.95
    data = (inside * LEVEL).astype(np.float32)
    return Volume(data, Grid(SHAPE, np.diag([*SPACING, 1.0])))


@pytest.fixture(scope="module")
def slots(head):
    return slots_of(simulate(head, SimulateConfig(thickness_mm=4.0)).grid, head.grid, 2)


def painted(head, lesion, centre=(20, 19, 21)):
    return paint(head, LEVEL, lesion, np.array(centre, float), np.random.default_rng(0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("diameter_mm", [6.0, 10.0])
def test_a_lesion_has_its_size_contrast_and_sign(head, kind, diameter_mm):
    found = painted(head, Lesion(kind, diameter_mm, 0.3, "in slice"))
    change = found.change
    extreme = change.min() if kind == "dark" else change.max()
    assert extreme == pytest.approx((-1 if kind == "dark" else 1) * 0.3 * LEVEL, rel=0.01)
    # 0.2 mm and the departure from a sphere
    n = np.cbrt(6.0 / np.pi * (np.abs(change) > 0.1 * LEVEL).sum())
    if kind != "rim":
        assert n == pytest.approx(diameter_mm, rel=0.2)
    middle = with_lesions(head, [found]).data[20, 19, 21] - LEVEL
    assert (middle > 0) == (kind == "bright")


def test_a_lesion_that_is_put_in_and_taken_out_leaves_nothing(head):
    scene = [painted(head, Lesion(k, 6.0, 0.5, ""), c) for k, c in
             zip(KINDS, ((12, 19, 21), (20, 19, 10), (28, 19, 30)), strict=True)]  # fmt: skip
    data = with_lesions(head, scene).data
    assert np.abs(data - head.data).max() > 0.4 * LEVEL
    for one in scene:
        data[one.box] -= one.change
    np.testing.assert_allclose(data, head.data, atol=1e-4)


def test_nothing_outside_the_region_changes(head):
    scene = [painted(head, Lesion("bright", 6.0, 0.5, ""))]
    outside = ~around(SHAPE, scene)
    assert not (with_lesions(head, scene).data - head.data)[outside].any()
    assert outside.mean() > 0.9


def test_a_dark_lesion_does_not_fall_below_zero(head):
    dim = head.with_data(0.1 * head.data)
    found = paint(dim, LEVEL, Lesion("dark", 6.0, 0.5, ""), np.array([20.0, 19, 21]),
                  np.random.default_rng(0))  # fmt: skip
    assert with_lesions(dim, [found]).data.min() == 0.0


def test_every_combination_is_there_once_and_no_rim_is_too_small_for_a_core():
    known = all_lesions()
    assert len(known) == len(set(known)) == 52
    assert Counter(one.placement for one in known) == {"in slice": 26, "between": 26}
    assert min(one.diameter_mm for one in known if one.kind == "rim") == 6.0


def test_places_are_in_the_middle_of_a_slice_or_half_way_between_two():
    slots = Slots(axis=2, first=1.5, step=4.0, n=5)
    assert slots.nearest(6.0, "in slice") == 5.5
    assert slots.nearest(6.0, "between") == 7.5
    assert slots.nearest(-9.0, "in slice") == 1.5
    assert slots.nearest(99.0, "in slice") == 17.5
    assert slots.nearest(99.0, "between") == 15.5


@pytest.mark.parametrize("gap_mm", [0.0, 2.0])
def test_slots_are_where_the_slices_of_a_scan_lie(head, gap_mm):
    thick = simulate(head, SimulateConfig(thickness_mm=4.0, gap_mm=gap_mm)).grid
    slots = slots_of(thick, head.grid, 2)
    for n in range(slots.n):
        world = thick.affine @ [0, 0, n, 1]
        assert world[2] == pytest.approx(head.grid.affine[2, 2] * (slots.first + n * slots.step))


def test_lesions_lie_inside_and_apart_and_one_lies_alone(head, slots):
    brain = inside_brain(head.data, SPACING)
    wanted = [one for one in all_lesions() if one.diameter_mm <= 6.0]
    scenes = place_scenes(head, brain, slots, wanted, np.random.default_rng(3))
    assert len(scenes[0]) == 1
    assert 1 < max(len(scene) for scene in scenes) <= MOST_IN_ONE_SCENE
    placed = [one for scene in scenes for one in scene]
    assert Counter(one.lesion for one in placed) == Counter(wanted)
    for scene in scenes:
        for n, one in enumerate(scene):
            assert brain[tuple(np.round(one.centre).astype(int))]
            for other in scene[:n]:
                apart = np.linalg.norm(one.centre - other.centre)
                radii = (one.lesion.diameter_mm + other.lesion.diameter_mm) / 2.0
                assert apart >= radii + APART_MM


def test_the_same_seed_gives_the_same_scenes(head, slots):
    brain = inside_brain(head.data, SPACING)
    wanted = all_lesions()[:8]

    def images(seed):
        scenes = place_scenes(head, brain, slots, wanted, np.random.default_rng(seed))
        return [with_lesions(head, scene).data for scene in scenes]

    first, again, other = images(0), images(0), images(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_brain_without_room_is_refused(head, slots):
    brain = inside_brain(head.data, SPACING)
    huge = [Lesion("bright", 60.0, 0.5, "in slice")]
    with pytest.raises(InputError, match="no room for a lesion of 60 mm"):
        place_scenes(head, brain, slots, huge, np.random.default_rng(0))


def test_of_a_head_that_is_not_stripped_the_outer_part_is_no_brain(head):
    noisy = head.data + np.random.default_rng(0).uniform(1.0, 3.0, SHAPE)
    whole = inside_brain(noisy, (4.0, 4.0, 4.0))
    assert not whole[20, 19, 2]
    assert whole[20, 19, 21]
    assert inside_brain(head.data, (4.0, 4.0, 4.0))[20, 19, 2]
