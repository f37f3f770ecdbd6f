import os
import sys
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from inversesr.acquisition import brain_mask as module
from inversesr.acquisition.brain_mask import (
    brain_mask,
    one_piece,
    stripped_region,
    to_ras,
    whole_brain,
)
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.errors import InputError
from inversesr.io.nifti import read_scan
from inversesr.operators.interpolation import spline
from inversesr.training import synthetic
from inversesr.volume import Grid, Volume

SPACING = (4.0, 5.0, 8.0)
SHAPE = (50, 44, 24)


def grid_of(shape=SHAPE, spacing=SPACING):
    return Grid(shape, np.diag([*spacing, 1.0]))


def ball(grid, centre_mm, radius_mm):
    axes = [np.arange(n) * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    positions = np.meshgrid(*axes, indexing="ij")
    distance = sum((p - c) ** 2 for p, c in zip(positions, centre_mm, strict=True)) ** 0.5
    return (distance <= radius_mm).astype(np.float32)


def head(air=3.0):
    """A lopsided brain, so that no flip leaves it where it was, in air that is not empty."""
    grid = grid_of()
    data = np.maximum(ball(grid, (90, 95, 90), 60), 0.8 * ball(grid, (125, 120, 120), 40))
    return Volume((100.0 * data + air).astype(np.float32), grid)


def stored_as(volume, order, flips):
    """The same scan in the world with its axes in another order, some backwards."""
    data, affine = volume.data.transpose(order), volume.grid.affine[:, [*order, 3]].copy()
    for axis in flips:
        data = np.flip(data, axis)
        affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(data), Grid(data.shape, affine))


class OnRight:
    """Stands in for deepbet, which takes RAS axes: bright voxels, more of them on the right."""

    def run_model(self, data):
        right = np.arange(data.shape[0])[:, None, None] / data.shape[0]
        found = (data > 90.0) | ((data > 50.0) & (right > 0.5))
        return found.astype(np.float32)


class Failing:
    """Stands in for deepbet where it finds nothing."""

    def run_model(self, data):
        del data
        message = "Not enough foreground to calculate bounding box"
        raise AssertionError(message)


@pytest.fixture
def on_right(monkeypatch):
    monkeypatch.setattr(module, "_network", OnRight)


ALL_FLIPS = [[axis for axis in range(3) if turned[axis]] for turned in product((0, 1), repeat=3)]


@pytest.mark.usefixtures("on_right")
@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", ALL_FLIPS)
def test_the_same_places_in_the_world_are_marked_however_the_scan_is_stored(order, flips):
    volume = head()
    mask = brain_mask(volume)
    assert mask.dtype == np.bool_
    other = brain_mask(stored_as(volume, order, flips))
    expected = stored_as(volume.with_data(mask.astype(np.float32)), order, flips).data > 0
    assert np.array_equal(other, expected)


def test_one_sentence_says_how_to_get_a_mask_where_deepbet_is_not_installed(monkeypatch):
    monkeypatch.setattr(module, "has_deepbet", lambda: False)
    with pytest.raises(InputError, match=r"pip install 'inversesr\[brainmask\]', or give --mask"):
        brain_mask(head())


def test_a_scan_in_which_nothing_is_found_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(module, "_network", Failing)
    with pytest.raises(InputError, match=r"0 mL .* expected 700 to 2200 mL in one piece"):
        brain_mask(head())


def test_a_stripped_scan_is_its_own_mask_with_its_holes_filled():
    volume = head(air=0.0)
    hollow = volume.with_data(volume.data * (1 - ball(volume.grid, (90, 95, 90), 20)))
    assert np.array_equal(brain_mask(hollow), volume.data > 0)


def test_ripples_of_resampling_are_not_brain():
    volume = head(air=0.0)
    ripples = np.where(volume.data == 0, 0.3, volume.data).astype(np.float32)
    assert np.array_equal(stripped_region(volume.with_data(ripples)), volume.data > 0)


def test_a_head_in_empty_air_is_not_taken_for_a_stripped_brain():
    grid = grid_of()
    whole = ball(grid, (98, 108, 92), 85)
    assert stripped_region(Volume(100.0 * whole, grid)) is None
    # of the size of a brain, but as long as only a head with its neck is
    long = Grid((30, 30, 60), np.diag([4.0, 4.0, 4.0, 1.0]))
    neck = np.zeros(long.shape, dtype=np.float32)
    neck[10:20, 8:22, 2:58] = 100.0
    assert stripped_region(Volume(neck, long)) is None


def test_a_brain_that_is_cut_by_the_border_is_not_taken_for_a_whole_one():
    volume = head(air=0.0)
    cut = volume.data[:, :, 9:16]
    assert stripped_region(Volume(np.ascontiguousarray(cut), grid_of(cut.shape))) is None


@pytest.mark.parametrize(
    ("radii_mm", "found"),
    [((50,), "524 mL|52[0-9] mL"), ((85,), "25[0-9][0-9] mL"), ((60, 40), "77 %")],
    ids=["small", "large", "in pieces"],
)
def test_what_cannot_be_a_whole_brain_is_refused(radii_mm, found):
    grid = Grid((60, 60, 100), np.diag([4.0, 4.0, 4.0, 1.0]))
    centres = [(118, 118, 118), (118, 118, 300)]
    mask = sum(ball(grid, c, r) for c, r in zip(centres, radii_mm, strict=False)) > 0
    with pytest.raises(InputError, match=found):
        whole_brain(mask, grid)


def test_stray_voxels_are_left_out():
    grid = Grid((60, 60, 60), np.diag([4.0, 4.0, 4.0, 1.0]))
    mask = ball(grid, (118, 118, 118), 62) > 0
    strayed = mask.copy()
    strayed[2, 2, 2] = True
    assert np.array_equal(whole_brain(strayed, grid), mask)


def test_one_piece_keeps_a_mask_without_holes_as_it_is():
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[1:4, 2:5, 1:3] = True
    assert np.array_equal(one_piece(mask), mask)
    assert not one_piece(np.zeros((3, 3, 3), dtype=bool)).any()


def data_folder(name):
    root = os.environ.get("INVERSESR_TEST_DATA")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip("set INVERSESR_TEST_DATA to the folder of real scans")
    pytest.importorskip("deepbet")
    return Path(root) / name


def dice(a, b):
    return 2.0 * (a & b).sum() / (a.sum() + b.sum())


def mask_of_labels(labels, spacing_mm, closing_mm=6.0):
    """Tissue closed by a ball, what it encloses, and a millimetre of fluid; not fluid alone."""
    brain = (labels > 0) & (labels < synthetic.FIRST_OUTSIDE_BRAIN)
    tissue = one_piece(brain & (labels != 24))
    margins = [int(np.ceil(2 * closing_mm / s)) for s in spacing_mm]
    sides = ndimage.find_objects(tissue.astype(np.int8))[0]
    pairs = zip(sides, margins, strict=True)
    box = tuple(slice(max(0, side.start - m), side.stop + m) for side, m in pairs)
    near = ndimage.distance_transform_edt(~tissue[box], spacing_mm) <= closing_mm
    depth = ndimage.distance_transform_edt(near, spacing_mm)
    closed = (depth > closing_mm - 1.0) & (brain[box] | (depth > closing_mm + 5.0))
    mask = np.zeros(labels.shape, dtype=bool)
    mask[box] = one_piece(closed | tissue[box])
    return mask


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("contrast", ["T1w", "T2w", "FLAIR", "PDw", "random"])
def test_the_masks_of_painted_label_maps_are_known(contrast):
    """Prints the table of docs/decisions/005-deepbet.md; run it with -s."""
    kinds = ["T1w", "T2w", "FLAIR", "PDw", "random"]
    number, is_random = kinds.index(contrast), contrast == "random"
    config = synthetic.SyntheticConfig(
        contrasts=() if is_random else (contrast,),
        stripped=0.0,
        lesions=0.4,
        bias=0.2,
        familiar=float(not is_random),
    )
    network, scores = module._network(), []
    for index, path in enumerate(sorted(data_folder("train_labels").glob("*.nii.gz"))):
        if index % len(kinds) != number:
            continue
        volume = read_scan(path).volume
        order, flips = volume.grid.ras_order, volume.grid.ras_flips
        labels = np.ascontiguousarray(to_ras(volume.data, order, flips)).astype(np.int16)
        # the parcels of the cortex are cortex
        labels = np.where(labels >= 1000, 3, labels)
        spacing_mm = [volume.grid.spacing_mm[axis] for axis in order]
        truth, grid = (
            mask_of_labels(labels, spacing_mm),
            Grid(labels.shape, np.diag([*spacing_mm, 1])),
        )
        generator = torch.Generator().manual_seed(index)
        painted = synthetic.paint(torch.from_numpy(labels), config, generator).numpy()
        noise = np.random.default_rng(index).standard_normal(painted.shape)
        thin = np.abs(painted + 0.02 * noise).astype(np.float32)
        thick = simulate(Volume(thin, grid), SimulateConfig(axis="S", thickness_mm=5.0))
        refined = spline(torch.from_numpy(thick.data), thick.grid, grid).numpy()
        found = [one_piece(network.run_model(x.copy()) > 0.5) for x in (thin, refined)]
        scores.append([dice(mask, truth) for mask in found])
        figures = " ".join(f"{score:.3f}" for score in scores[-1])
        sys.stdout.write(f"\n{contrast} {path.name} {figures}")
    if contrast == "T1w":
        assert np.min(scores) > 0.85


@pytest.mark.data
@pytest.mark.slow
def test_the_brains_of_real_scans_have_one_volume_whatever_the_contrast():
    """Prints volumes; run it with -s."""
    ml = {}
    for path in sorted(data_folder("clinical").glob("*.nii.gz")):
        volume = read_scan(path).volume
        assert stripped_region(volume) is None
        n_voxels = brain_mask(volume).sum()
        ml[path.name] = float(n_voxels * np.prod(volume.grid.spacing_mm)) / 1000.0
        sys.stdout.write(f"\n{path.name} {ml[path.name]:.0f} mL")
    for name in [name for name in ml if name.endswith("_T1w.nii.gz")]:
        other = ml[name.replace("_T1w", "_inplaneT2")]
        assert other == pytest.approx(ml[name], rel=0.05)
