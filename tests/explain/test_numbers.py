import pytest
import torch

from inversesr.explain.numbers import (
    CONTRAST,
    FLUID,
    GREY,
    THICKNESS,
    UNITS,
    VENTRICLES,
    WHITE,
    class_levels,
    make_ruler,
)
from tests.support.problems import generator

SPACING = (1.0, 2.0, 0.5)
SHAPE = (24, 12, 48)


def brain():
    """White in the middle, grey about it, fluid outermost, a pool of fluid in the white."""
    x = torch.full(SHAPE, 10.0)
    x[2:-2] = 50.0
    x[6:-6] = 90.0
    x[11:13, 4:8, 16:32] = 10.0
    return x


def ruler_of(x, **options):
    depth = torch.zeros(SHAPE)
    depth[10:14] = 20.0
    return make_ruler(x, torch.ones(SHAPE), depth, SPACING, **options)


def test_volumes_of_plain_tissues_are_those_of_their_voxels():
    x = brain()
    found = ruler_of(x).numbers(x)
    ml = float(torch.tensor(SPACING).prod()) / 1000.0
    for name, value in ((FLUID, 10.0), (GREY, 50.0), (WHITE, 90.0)):
        assert found[name] == pytest.approx(float((x == value).sum()) * ml, rel=1e-5)
    assert found[VENTRICLES] == pytest.approx(2 * 4 * 16 * ml, rel=1e-5)
    assert found[CONTRAST] == pytest.approx(40.0 / 140.0)
    assert set(found) == set(UNITS)


def test_volumes_add_up_to_the_brain_whatever_the_intensities():
    x = brain()
    ruler = ruler_of(x)
    noisy = x + 15.0 * torch.randn(SHAPE, generator=generator())
    found = ruler.numbers(noisy)
    whole = noisy.numel() * ruler.ml
    assert found[FLUID] + found[GREY] + found[WHITE] == pytest.approx(whole, rel=1e-5)


def test_where_fluid_is_bright_it_is_the_bright_class_and_white_the_dark_one():
    x = brain()
    dark, bright = ruler_of(x).numbers(x), ruler_of(x, is_fluid_bright=True).numbers(x)
    assert bright[FLUID] == pytest.approx(dark[WHITE])
    assert bright[WHITE] == pytest.approx(dark[FLUID])
    assert bright[CONTRAST] < 0.0


def test_the_thickness_proxy_of_a_plain_layer_is_its_thickness():
    x = torch.full(SHAPE, 10.0)
    x[:8] = 90.0
    x[8:14] = 50.0
    found = ruler_of(x).numbers(x)
    assert found[THICKNESS] == pytest.approx(6.0, rel=0.01)


def test_classes_of_three_clusters_are_their_means():
    values = torch.cat(
        [m + torch.randn(500, generator=generator(k)) for k, m in enumerate((20.0, 60.0, 80.0))]
    )
    assert class_levels(values) == pytest.approx((20.0, 60.0, 80.0), abs=0.3)


def test_one_intensity_everywhere_is_no_error():
    x = torch.full(SHAPE, 7.0)
    assert class_levels(x) == (7.0, 7.0, 7.0)
    assert ruler_of(x).numbers(x)[CONTRAST] == 0.0
