from dataclasses import replace

import nibabel
import numpy as np
import pytest

import inversesr
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.report.figures import agreement, compare, slices, trace
from inversesr.report.planes import (
    anatomical_plane,
)
from inversesr.volume import Grid, Volume
from inversesr.workflows.restore import restore

MARK_MM = (2.0, 6.0, 9.0)


@pytest.fixture(scope="module")
def result():
    data = np.random.default_rng(0).uniform(50, 100, (9, 8, 5)).astype(np.float32)
    volume = Volume(data, Grid((9, 8, 5), np.diag([1.0, 1.0, 4.0, 1.0])))
    return restore([Scan.made_here(volume)], Config(solver="tv", threads=1))


def test_pictures_have_no_axes_not_even_hidden_ones_that_take_time(result):
    for figure in (compare(result), slices(result.volume)):
        for panel in figure.axes:
            assert not panel.axison
            assert [*panel.get_xticks(), *panel.get_yticks()] == []


def marked(codes, world_mm):
    """A volume in some orientation with one bright voxel at a world position."""
    shape_ras, spacing_ras = (7, 9, 11), (1.0, 2.0, 3.0)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    shape = []
    for axis, code in enumerate(codes):
        world = next(i for i, letters in enumerate(("RL", "AP", "SI")) if code in letters)
        step = spacing_ras[world] * (1.0 if code in "RAS" else -1.0)
        n = shape_ras[world]
        affine[world, axis] = step
        affine[world, 3] = -step * (n - 1) / 2.0
        shape.append(n)
    data = np.zeros(shape, np.float32)
    voxel = np.linalg.inv(affine) @ [*world_mm, 1.0]
    data[tuple(np.round(voxel[:3]).astype(int))] = 1.0
    return Volume(data, Grid(tuple(shape), affine))


def pictures(figure):
    return [np.asarray(panel.images[0].get_array()) for panel in figure.axes if panel.images]


def test_a_comparison_shows_the_scan_above_the_result_in_one_window(result):
    figure = compare(result)
    assert len(figure.axes) == 6
    assert len({panel.images[0].get_clim() for panel in figure.axes}) == 1
    shapes = [picture.shape for picture in pictures(figure)]
    assert shapes == [(5, 8), (5, 9), (8, 9), (20, 8), (20, 9), (8, 9)]
    np.testing.assert_array_equal(
        pictures(figure)[0], anatomical_plane(result.sources[0].scan.volume, 0)[0]
    )


def test_a_comparison_goes_through_the_point_asked_for(result):
    at_mm = (2.0, 3.0, 16.0)
    shown = pictures(compare(result, at_mm))
    np.testing.assert_array_equal(
        shown[2], anatomical_plane(result.sources[0].scan.volume, 2, 4)[0]
    )
    np.testing.assert_array_equal(shown[3], anatomical_plane(result.volume, 0, 2)[0])


@pytest.mark.parametrize(("plane", "shape"), [("axial", (8, 9)), ("sagittal", (20, 8))])
def test_slices_are_spread_evenly_and_never_shown_twice(result, plane, shape):
    shown = pictures(slices(result.volume, 4, plane))
    assert [picture.shape for picture in shown] == [shape] * 4
    assert len({picture.tobytes() for picture in shown}) == 4
    everything = pictures(slices(result.volume, 100, plane))
    assert len(everything) <= max(result.volume.data.shape)


def test_slices_takes_paths_images_and_volumes_alike(result, tmp_path):
    nibabel.save(result.image, tmp_path / "a.nii.gz")
    expected = pictures(slices(result.volume))
    for image in (result.image, tmp_path / "a.nii.gz", str(tmp_path / "a.nii.gz")):
        for found, wanted in zip(pictures(slices(image)), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("image", "choices"),
    [(3, {}), (MARK_MM, {}), (marked("RAS", MARK_MM), {"plane": "oblique"})],
    ids=["number", "tuple", "plane"],
)
def test_what_cannot_be_drawn_is_refused(image, choices):
    with pytest.raises(InputError, match="expected"):
        slices(image, **choices)


def test_the_trace_shows_every_figure_of_the_solver_at_every_iteration(result):
    (panel,) = trace(result).axes
    (line,) = panel.lines
    np.testing.assert_allclose(line.get_ydata(), result.history["relative_change"])
    assert result.status in panel.get_title()


@pytest.mark.parametrize(("figures", "scale"), [([1.0, 1.1, 1.2], "linear"), ([1e-3, 1], "log")])
def test_figures_that_hardly_change_are_not_drawn_on_a_logarithmic_scale(result, figures, scale):
    (panel,) = trace(replace(result, history={"misfit": figures})).axes
    assert panel.get_yscale() == scale
    assert all(float(tick).is_integer() for tick in panel.get_xticks())


def test_both_rows_of_a_comparison_lie_in_the_middle_of_the_same_measured_slice(result):
    shown = pictures(compare(result))
    scan = result.sources[0].scan.volume
    np.testing.assert_array_equal(shown[2], anatomical_plane(scan, 2, 2)[0])
    # slice 2 of 4 mm reaches over voxels 8 to 11
    candidates = [anatomical_plane(result.volume, 2, k)[0] for k in (9, 10)]
    assert any(np.array_equal(shown[5], plane) for plane in candidates)


def test_agreement_is_drawn_for_every_measured_slice(result):
    (panel,) = agreement(result.sources[0]).axes
    alone, consistent, _noise = panel.lines
    found = result.sources[0]
    np.testing.assert_allclose(alone.get_ydata(), found.before_consistency.rms_by_slice)
    assert len(consistent.get_ydata()) == 5
    assert np.all(np.isfinite(consistent.get_ydata()))


def test_agreement_leaves_out_slices_in_which_nothing_was_compared(result):
    source = result.sources[0]
    found = replace(source.agreement, rms_by_slice=(0.0, 2.0, 3.0, 2.0, 0.0))
    fused = replace(source, before_consistency=found, agreement=found, motion_mm=1.0)
    (panel,) = agreement(fused).axes
    drawn, _noise = panel.lines
    np.testing.assert_array_equal(drawn.get_ydata(), [np.nan, 2.0, 3.0, 2.0, np.nan])


def test_plots_are_part_of_the_package_s_front(result):
    assert inversesr.plot.compare(result).axes
