import nibabel
import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.picture import draw_side_by_side, picture_solvers
from inversesr.errors import InputError
from inversesr.volume import Grid, Volume

SHAPE = (20, 18, 24)


@pytest.fixture
def truth(tmp_path):
    axes = np.meshgrid(*[np.linspace(0, 3, n) for n in SHAPE], indexing="ij")
    data = 100 * (2 + np.sin(2 * axes[0]) + np.cos(3 * axes[1] + axes[2]))
    nibabel.save(nibabel.Nifti1Image(data.astype(np.float32), np.eye(4)), tmp_path / "thin.nii.gz")
    return tmp_path / "thin.nii.gz"


def test_one_png_shows_every_solver_and_its_score(truth, tmp_path):
    told, file = {}, tmp_path / "solvers.png"
    task = SimulateConfig(thickness_mm=3.0)
    picture_solvers(truth, task, ["spline", "tv"], file, progress=told.__setitem__)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert list(told) == ["spline", "tv"]
    assert all(20.0 < psnr_db < 80.0 for psnr_db in told.values())


def test_errors_stand_below_the_images_and_the_truth_has_none():
    data = np.random.default_rng(0).uniform(50, 100, SHAPE).astype(np.float32)
    truth = Volume(data, Grid(SHAPE, np.eye(4)))
    figure = draw_side_by_side(truth, {"off by 3": truth.with_data(data - 3.0)})
    shown = [np.asarray(panel.images[0].get_array()) for panel in figure.axes]
    assert len(shown) == 8  # coronal, its errors, sagittal, its errors; truth and result each
    np.testing.assert_allclose(shown[0] - shown[1], 3.0, rtol=1e-4)
    assert not shown[2].any()
    np.testing.assert_allclose(shown[3], 3.0, rtol=1e-4)
    assert [s.shape for s in shown[::2]] == [(24, 20)] * 2 + [(24, 18)] * 2
    windows = {panel.images[0].get_clim() for panel in (figure.axes[0], figure.axes[1])}
    assert len(windows) == 1


@pytest.mark.parametrize("name", ["solvers.jpg", "missing/solvers.png"])
def test_a_file_that_cannot_be_written_is_refused_before_any_work(truth, tmp_path, name):
    with pytest.raises(InputError, match=r"expected a name ending in \.png"):
        picture_solvers(truth, SimulateConfig(), ["spline"], tmp_path / name)


def test_an_unknown_option_is_refused_before_any_work(truth, tmp_path):
    with pytest.raises(InputError, match=r"expected solver\.NAME=VALUE"):
        picture_solvers(
            truth, SimulateConfig(), ["spline"], tmp_path / "a.png", ["solver.magic=1"]
        )


def test_options_reach_the_solvers(truth, tmp_path, monkeypatch):
    seen = []

    def remember(_scans, config):
        seen.append(config.settings)
        raise KeyboardInterrupt

    monkeypatch.setattr("inversesr.benchmarks.picture.restore", remember)
    with pytest.raises(KeyboardInterrupt):
        picture_solvers(
            truth, SimulateConfig(), ["tv"], tmp_path / "a.png", ["solver.adapt_steps=0"]
        )
    assert seen == [("solver.adapt_steps=0",)]
