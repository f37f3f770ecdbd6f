import pytest

from inversesr.priors.networks.slice_geometry import SliceGeometry

SLICES = SliceGeometry(thickness=4.0, spacing=5.0, first_centre=1.5)


def test_mirrored_slices_lie_where_the_old_ones_are_in_the_mirror():
    seen = SLICES.flipped(16)
    old = [SLICES.first_centre + SLICES.spacing * n for n in range(3)]
    new = [seen.first_centre + seen.spacing * n for n in range(3)]
    assert [15 - place for place in reversed(old)] == pytest.approx(new)


@pytest.mark.parametrize(
    ("thickness", "spacing", "expected"),
    [
        (1.5, 1.5, True),
        (12.0, 12.0, True),
        (1.4, 1.4, False),
        (12.1, 12.1, False),
        (4.0, 12.1, False),
        (1.0, 3.0, True),
        (1.0, 2.9, False),
        (0.9, 3.0, False),
        (1.4999999, 1.5, True),
    ],
)
def test_slices_are_known_that_are_thick_or_thin_ones_far_apart(thickness, spacing, expected):
    assert SliceGeometry(thickness, spacing, 0.0).is_known == expected
