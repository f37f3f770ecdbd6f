import pytest

from inversesr.benchmarks.lesion_rows import LesionRow, summarise_lesions


def lesion(outcome, diameter_mm=4.0, contrast=0.2, found=0.5, with_="", placement="in slice"):
    return LesionRow(
        "head", "5 mm", "unet", with_, outcome, "bright", diameter_mm, contrast, placement, 3,
        0.5, found, 0.4, 9.0,
    )  # fmt: skip


def spot(outcome, diameter_mm, contrast, is_in_spline=None):
    return LesionRow(
        "head", "5 mm", "unet", "", outcome, "dark", diameter_mm, contrast,
        is_in_spline=is_in_spline,
    )  # fmt: skip


def cell(rows, group, name="unet"):
    (found,) = [one for one in summarise_lesions(rows) if (one.group, one.name) == (group, name)]
    return found


ROWS = [
    lesion("kept"),
    lesion("kept", diameter_mm=10.0, contrast=0.5, found=0.7),
    lesion("missed", found=0.1),
    lesion("not measured", placement="between"),
    spot("invented", 3.0, 0.25, is_in_spline=True),
    spot("invented", 12.0, 0.7, is_in_spline=False),
    spot("ghost", 5.0, 0.3),
]


def test_only_lesions_that_the_slices_show_are_kept_or_missed():
    found = cell(ROWS, "all")
    assert (found.n_measured, found.n_not_measured) == (3, 1)
    assert found.kept_percent == pytest.approx(200.0 / 3.0)
    assert found.found == pytest.approx(1.3 / 3.0)
    assert (found.measured, found.by_spline) == (pytest.approx(0.5), pytest.approx(0.4))
    assert (found.n_invented, found.n_invented_alone, found.n_ghosts) == (2, 1, 1)


def test_groups_are_by_size_contrast_kind_and_placement_and_hold_all_that_was_invented():
    by_size = [cell(ROWS, "4 mm"), cell(ROWS, "10 mm")]
    assert [one.n_measured for one in by_size] == [2, 1]
    assert [one.n_invented for one in by_size] == [1, 1]
    by_contrast = [cell(ROWS, "contrast 0.2"), cell(ROWS, "contrast 0.5")]
    assert [one.n_measured for one in by_contrast] == [2, 1]
    assert [one.n_invented_alone for one in by_contrast] == [0, 1]
    assert cell(ROWS, "between").n_not_measured == 1
    assert cell(ROWS, "between").kept_percent is None
    assert cell(ROWS, "bright").n_measured == 3


def test_what_was_made_with_a_mask_stands_in_lines_of_its_own():
    rows = [*ROWS, lesion("kept", with_="mask")]
    assert cell(rows, "all").n_measured == 3
    assert cell(rows, "all", "unet + mask").kept_percent == 100.0
