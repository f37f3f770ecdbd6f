import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from scipy.spatial.transform import Rotation

from inversesr.acquisition.geometry import describe_acquisition
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.io.nifti import Scan, read_scan
from inversesr.measurements.slices import Task
from inversesr.operators.resample import RigidResample
from inversesr.solvers.latent import fixed_prior
from inversesr.solvers.latent.fixed_prior import (
    find_brain,
    fit_fixed,
    percentile_scale,
    soft_brain,
)
from inversesr.solvers.latent.pose import PriorRefused
from inversesr.volume import Grid, Volume
from tests.acquisition.test_registration import rigid
from tests.support.problems import one_thread, tiny_card  # noqa: F401  (a fixture)

STRIPPED, WHOLE = tiny_card(skull="stripped"), tiny_card()


def task_of(thin, thickness_mm=5.0, brain=None):
    thick = simulate(thin, SimulateConfig(axis="S", thickness_mm=thickness_mm))
    acquisition = describe_acquisition(
        Scan.made_here(thick), Config(spacing_mm=thin.grid.spacing_mm[0])
    )
    return Task(torch.from_numpy(thick.data), thick.grid, acquisition, 0.01, None, brain)


def brain(scalp=0.0, side=36, spacing_mm=5.0):
    """An egg of 1,300 mL with a nucleus, and a shell about it that is no brain."""
    grid = Grid((side, side, side), np.diag([spacing_mm] * 3 + [1.0]))
    axes = [(np.arange(side) - side / 2) * spacing_mm for _ in range(3)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt((x / 62) ** 2 + (y / 78) ** 2 + ((z + 0.06 * y) / 64) ** 2)
    nucleus = np.exp(-(((x - 15) / 25) ** 2 + ((y + 25) / 20) ** 2 + ((z - 10) / 15) ** 2))
    inside = radius < 1.0
    data = np.where(inside, 60.0 + 50.0 * nucleus, 0.0)
    data += scalp * ((radius > 1.08) & (radius < 1.2))
    return Volume(data.astype(np.float32), grid), inside


def mean_of(volume, factor=0.01):
    return volume.with_data(factor * volume.data)


@cache
def template(resolution_mm):
    datasets = pytest.importorskip("nilearn.datasets")
    image = datasets.load_mni152_template(resolution=resolution_mm)
    data = np.ascontiguousarray(image.get_fdata(), dtype=np.float32)
    return Volume(
        np.where(data < 1e-4, 0.0, data).astype(np.float32), Grid(data.shape, image.affine)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("degrees", "axis", "shift_mm"),
    [
        (0.0, (0, 0, 1), (0.0, 0.0, 0.0)),
        (15.0, (1, 0.2, 0), (12.0, -10.0, 12.0)),
        (-15.0, (0.3, 0.1, 1), (-11.0, 16.0, -5.0)),
    ],
    ids=["as it is", "nodding", "shaking"],
)
def test_a_head_in_thick_slices_comes_back_to_where_it_was_to_a_millimetre_and_a_degree(
    degrees, axis, shift_mm
):
    mean = template(4)
    turned = rigid(degrees, axis, shift_mm)  # prior_world_from_scan_world
    middle = np.eye(4)
    middle[:3, 3] = (0.0, -18.0, 10.0)
    pose = middle @ turned @ np.linalg.inv(middle)
    low = mean.grid.affine[:3, 3] - 24.0
    shape = tuple(n + 12 for n in mean.grid.shape)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = low
    grid = Grid(shape, affine)
    thin = RigidResample(mean.grid, grid, pose)(torch.from_numpy(mean.data)).numpy()
    task = task_of(Volume(500.0 * thin, grid))
    fitted = fit_fixed(task, STRIPPED, lambda: mean, 0)
    assert not isinstance(fitted, PriorRefused)
    found = np.linalg.inv(fitted.placement.V.outer.source_world_from_target_world)
    off = found @ np.linalg.inv(pose)
    assert np.rad2deg(Rotation.from_matrix(off[:3, :3]).magnitude()) < 1.0
    centre = middle[:, 3]
    assert np.linalg.norm((off @ centre - centre)[:3]) < 1.0
    assert fitted.facts["pose_quality"] > 0.95
    assert 1000.0 < fitted.facts["brain_ml"] < 2200.0
    assert fitted.scale.width == pytest.approx(500.0, rel=0.05)


@pytest.fixture
def no_deepbet(monkeypatch):
    monkeypatch.setattr(fixed_prior, "has_deepbet", lambda: False)
    monkeypatch.setattr("inversesr.acquisition.brain_mask.has_deepbet", lambda: False)


def fit(volume, card, mask=None, factor=0.01, thickness_mm=10.0):
    """Fit to a mean image that is the volume itself, in other intensities."""
    mean = brain()[0] if card is STRIPPED else volume
    given = None if mask is None else torch.from_numpy(mask)
    task = task_of(volume, thickness_mm)
    if mask is not None:
        pairs = torch.as_tensor(given).float().unflatten(2, (-1, 2)).mean(3) > 0.5
        task = Task(task.y, task.scan_grid, task.acquisition, 0.01, None, pairs.float())
    return task, fit_fixed(task, card, lambda: mean_of(mean, factor), 0)


@pytest.mark.usefixtures("no_deepbet")
def test_a_stripped_scan_needs_neither_a_mask_nor_deepbet():
    volume, inside = brain()
    task, fitted = fit(volume, STRIPPED)
    assert not isinstance(fitted, PriorRefused)
    assert fitted.scale.width == pytest.approx(100.0, rel=0.02)
    m = fitted.m.numpy()
    # thick slices stick out of the brain by up to their thickness
    assert not m[~binary_dilation(inside, iterations=3)].any()
    assert m[17:19, 17:19, 17:19].min() == pytest.approx(1.0)
    air = np.zeros(m.shape, dtype=bool)
    air[:4] = True
    assert not m[air].any()
    assert fitted.facts["brain_ml"] == pytest.approx(125e-3 * inside.sum(), rel=0.2)
    assert not fitted.notes
    seen = fitted.placement.V(torch.ones(task.fine.shape))
    assert not seen[:4].any()


@pytest.mark.usefixtures("no_deepbet")
def test_the_skull_neither_moves_nor_scales_a_prior_that_knows_brains_only():
    volume, inside = brain(scalp=400.0)
    _, fitted = fit(volume, STRIPPED, inside)
    assert not isinstance(fitted, PriorRefused)
    assert fitted.scale.width == pytest.approx(100.0, rel=0.05)
    moved = fitted.placement.V.outer.source_world_from_target_world @ [90.0, 90.0, 90.0, 1.0]
    assert np.linalg.norm(moved[:3] - 90.0) < 2.0  # of voxels of 5 mm
    scalp = volume.data == 400.0
    assert fitted.m.numpy()[scalp].max() < 0.05
    seen = fitted.placement.V(torch.from_numpy(volume.data)).numpy()
    assert seen[scalp].max() < 40.0


@pytest.mark.usefixtures("no_deepbet")
def test_a_prior_that_knows_whole_heads_speaks_beyond_the_brain_of_one():
    volume, inside = brain(scalp=150.0)
    _, fitted = fit(volume, WHOLE, inside)
    m = fitted.m.numpy()
    # a little of it lies at the edge of the field of view, where the prior fades out
    assert (m[volume.data == 150.0] > 0.9).mean() > 0.8
    assert m[18, 18, 6] == 1.0
    assert fitted.scale.width == pytest.approx(100.0, rel=0.05)
    assert fitted.facts["pose_quality"] > 0.85


@pytest.mark.usefixtures("no_deepbet")
def test_without_deepbet_a_prior_that_knows_whole_heads_goes_on_and_says_so():
    _, fitted = fit(brain(scalp=150.0)[0], WHOLE)
    assert "pip install 'inversesr[brainmask]'" in fitted.notes[0]
    assert "brain_ml" not in fitted.facts


@pytest.mark.usefixtures("no_deepbet")
def test_without_deepbet_a_prior_that_knows_brains_only_is_refused():
    _, refused = fit(brain(scalp=150.0)[0], STRIPPED)
    assert isinstance(refused, PriorRefused)
    assert "pip install 'inversesr[brainmask]'" in refused.reason
    assert refused.reason.endswith("tv is used instead")


@pytest.mark.parametrize("card", [STRIPPED, WHOLE], ids=["stripped", "whole"])
def test_a_mask_that_is_no_whole_brain_refuses_the_prior(card):
    volume, inside = brain(scalp=150.0)
    half = inside.copy()
    half[16:] = False
    _, refused = fit(volume, card, half)
    assert isinstance(refused, PriorRefused)
    assert "expected 700 to 2200 mL in one piece" in refused.reason


def test_a_given_mask_goes_before_what_the_scan_shows():
    volume, inside = brain()
    given = inside.copy()
    given[:, :, :12] = False
    pairs = torch.from_numpy(given).float().unflatten(2, (-1, 2)).mean(3)
    found = find_brain(task_of(volume, 10.0, pairs), is_needed=True)
    assert found.is_stripped
    assert found.mask.numpy()[given].mean() > 0.95
    assert not found.mask.numpy()[:, :, :9].any()


def test_the_soft_edge_of_a_brain_is_a_half_at_its_surface():
    inside = np.zeros((40, 40, 40), dtype=np.float32)
    inside[10:30, 10:30, 10:30] = 1.0
    m = soft_brain(torch.from_numpy(inside), (1.0, 1.0, 1.0))[:, 20, 20]
    assert float(m[9:11].mean()) == pytest.approx(0.5, abs=0.2)
    assert float(m[6]) == 0.0
    assert float(m[13]) == 1.0
    assert bool((m[:20].diff() >= 0).all())


def test_percentiles_are_those_of_the_card():
    card = tiny_card(intensity={"low_percentile": 10.0, "high_percentile": 90.0})
    scale = percentile_scale(torch.arange(101.0), card)
    assert (scale.low, scale.width) == pytest.approx((10.0, 80.0))
    assert percentile_scale(torch.full((8,), 5.0), WHOLE).width == 1.0


@pytest.mark.data
@pytest.mark.slow
def test_a_real_t1_is_laid_over_the_icbm_head_and_a_real_t2_is_refused():
    root = os.environ.get("INVERSESR_TEST_DATA")
    if not root:
        pytest.skip("set INVERSESR_TEST_DATA to the folder of real scans")
    pytest.importorskip("deepbet")
    mean, found = template(2), []
    for name in ("TCGA-FG-6692_T1_axial", "ds000011_sub-02_inplaneT2"):
        scan = read_scan(Path(root) / "clinical" / f"{name}.nii.gz")
        acquisition = describe_acquisition(scan, Config(spacing_mm=2.0))
        y = torch.from_numpy(scan.volume.data)
        task = Task(y, scan.volume.grid, acquisition, 1.0)
        found.append(fit_fixed(task, STRIPPED, lambda: mean, 0))
    t1, t2 = found
    assert t1.facts["pose_quality"] > 0.7
    assert t1.facts["brain_ml"] == pytest.approx(1586, rel=0.02)
    assert isinstance(t2, PriorRefused)
    assert "correlates with the prior's mean image by 0.5" in t2.reason
