from importlib.resources import files

import numpy as np
import pytest
from scipy.ndimage import zoom
from scipy.spatial.transform import Rotation

from inversesr.acquisition import anatomy
from inversesr.acquisition.anatomy import LEAST_FIT, anatomy_of, doubt_of_anatomy
from inversesr.volume import Grid, Volume
from tests.support.heads import head_volume

# intensities of white matter, grey matter and fluid
CONTRASTS = {"T1w": (85.0, 60.0, 20.0), "T2w": (35.0, 55.0, 100.0), "FLAIR": (45.0, 60.0, 10.0)}


def mean_brain(contrast="T1w", degrees=0.0, size=1.0, shift_mm=0.0, spacing_mm=2.0, noise=3.0):
    """The mean brain of the template, painted, finer than it is and somewhere else."""
    with files("inversesr.acquisition").joinpath(anatomy.TEMPLATE_NAME).open("rb") as stream:
        kept = np.load(stream)
        tissues = [kept[name] / 255.0 for name in ("white", "brain", "fluid")]
        affine = kept["affine"].copy()
    white, brain, fluid = (np.clip(zoom(t, 4.0 / spacing_mm, order=1), 0, 1) for t in tissues)
    values = CONTRASTS[contrast]
    data = values[0] * white + values[1] * (brain - white - fluid) + values[2] * fluid
    data += np.random.default_rng(0).normal(0.0, noise, data.shape)
    turn = np.eye(4)
    turn[:3, :3] = size * Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    turn[2, 3] = shift_mm
    affine[:3, :3] *= spacing_mm / 4.0
    return Volume(data.astype(np.float32), Grid(data.shape, turn @ affine))


@pytest.fixture(scope="module")
def fit():
    return anatomy_of(mean_brain()).fit


def test_the_mean_brain_itself_is_explained(fit):
    assert fit > 0.75
    assert doubt_of_anatomy(mean_brain()) == ""


@pytest.mark.parametrize(
    "change",
    [
        {"contrast": "T2w"},
        {"contrast": "FLAIR"},
        {"degrees": 20.0, "shift_mm": 70.0},
        {"spacing_mm": 1.6},
        {"size": 0.85},
    ],
    ids=str,
)
def test_contrast_pose_spacing_and_size_change_little(change, fit):
    found = anatomy_of(mean_brain(**change))
    assert found.fit == pytest.approx(fit, abs=0.15)
    assert found.size == pytest.approx(change.get("size", 1.0), abs=0.04)


def test_units_and_shading_by_coils_change_nothing(fit):
    brain = mean_brain()
    slope = np.linspace(0.7, 1.4, brain.data.shape[1], dtype=np.float32)[None, :, None]
    for data in (3e4 * brain.data - 500.0, brain.data * slope, 1e-4 * brain.data):
        assert anatomy_of(brain.with_data(data)).fit == pytest.approx(fit, abs=0.05)


def test_thick_slices_are_no_hindrance(fit):
    brain = mean_brain()
    affine = brain.grid.affine @ np.diag([1.0, 1.0, 4.0, 1.0])
    affine[:3, 3] += 1.5 * brain.grid.affine[:3, 2]
    x, y, z = brain.data.shape
    thick = brain.data.reshape(x, y, z // 4, 4).mean(axis=3)
    assert anatomy_of(Volume(thick, Grid(thick.shape, affine))).fit == pytest.approx(fit, abs=0.1)


def test_half_a_head_is_a_head():
    brain = mean_brain()
    half = brain.cropped((slice(0, brain.data.shape[0] // 2), slice(None), slice(None)))
    assert anatomy_of(half).fit > 2 * LEAST_FIT


def test_the_brain_of_a_newborn_is_too_small():
    brain = mean_brain(size=0.62)
    assert anatomy_of(brain).size == pytest.approx(0.62, abs=0.04)
    assert "as long as the mean adult brain (at least 75% is expected)" in doubt_of_anatomy(brain)


def spheres():
    places = np.meshgrid(*[np.linspace(-110, 110, 56)] * 3, indexing="ij")
    return np.sqrt(sum(np.square(place) for place in places))


@pytest.mark.parametrize(
    "data",
    [
        np.where(spheres() < 85.0, 100.0, 0.0),
        100.0 * (spheres() < 90.0) * (1.0 + 0.3 * np.sin(spheres() / 6.0)),
        np.random.default_rng(0).uniform(50.0, 100.0, (56, 56, 56)),
    ],
    ids=["phantom", "rings", "noise"],
)
def test_what_is_no_brain_is_told(data):
    noise = np.random.default_rng(1).normal(0.0, 1.0, data.shape)
    grid = Grid(data.shape, np.diag([4.0, 4.0, 4.0, 1.0]))
    doubt = doubt_of_anatomy(Volume((data + noise).astype(np.float32), grid))
    assert doubt.startswith("no adult brain was found in the scan (a mean adult brain explains")


def test_folds_alone_are_no_brain():
    assert anatomy_of(head_volume()).fit < LEAST_FIT


def test_a_field_of_view_that_is_too_small_is_not_judged():
    brain = mean_brain()
    slab = brain.cropped((slice(None), slice(None), slice(30, 52)))
    assert anatomy_of(slab) is None
    assert doubt_of_anatomy(slab) == ""


def test_an_image_of_nearly_nothing_is_not_judged():
    data = np.zeros((60, 60, 60), np.float32)
    data[30, 30, 30] = 1.0
    assert anatomy_of(Volume(data, Grid(data.shape, np.diag([4.0, 4.0, 4.0, 1.0])))) is None
