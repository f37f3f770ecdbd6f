import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks import comparison as benchmark
from inversesr.benchmarks.comparison import (
    Setup,
    compare_solvers,
    middle_box,
    read_truth,
    runnable_solvers,
)
from inversesr.errors import InputError
from inversesr.solvers.registry import names
from inversesr.volume import Grid
from tests.support.problems import free_card, one_thread, random_tensors, write_prior  # noqa: F401  (a fixture)
from tests.support.thin_slices import silent, stay_in_this_process, write_head


@pytest.fixture
def truth(tmp_path):
    return write_head(tmp_path)


@pytest.fixture
def prior(tmp_path):
    card = free_card()
    write_prior(tmp_path / "tiny", card, random_tensors(card))
    return str(tmp_path / "tiny")


@pytest.fixture
def without_processes(monkeypatch):
    stay_in_this_process(monkeypatch)


@pytest.mark.usefixtures("without_processes")
def test_a_solver_that_fails_is_a_row_and_the_others_go_on(truth, tmp_path):
    (tmp_path / "empty").mkdir()
    setup = Setup(prior=str(tmp_path / "empty"))
    seen = []
    rows = compare_solvers(
        [truth], [SimulateConfig()], ["latent-pnp", "spline"], seen.append, setup
    )
    assert [row.solver for row in rows] == ["latent-pnp", "spline"]
    assert "prior.json" in rows[0].failure
    assert rows[0].psnr_db is None
    assert rows[1].failure == ""
    assert rows[1].psnr_db > 10.0
    assert seen == rows


def test_a_crop_keeps_the_middle_in_its_place(truth):
    whole, part = (read_truth(truth, "S", n).volume for n in (None, 16))
    assert part.data.shape == (16, 16, 24)
    assert np.array_equal(part.data, whole.data[2:18, 1:17])
    np.testing.assert_allclose(part.grid.affine @ [0, 0, 0, 1], whole.grid.affine @ [2, 1, 0, 1])


def test_a_crop_along_another_direction_keeps_that_direction_whole(truth):
    assert read_truth(truth, "R", 16).volume.data.shape == (20, 16, 16)


def test_a_tiny_crop_is_refused():
    with pytest.raises(InputError, match="at least 16"):
        Setup(crop=4)


def test_only_solvers_whose_networks_are_there_run_by_default(prior):
    assert runnable_solvers() == list(names())
    without = [name for name in names() if name not in ("unet", "diffusion")]
    assert runnable_solvers(prior) == without


@pytest.mark.slow
def test_scans_of_growing_size_are_timed_without_a_truth(monkeypatch):
    monkeypatch.setattr(benchmark, "SCALING_SHAPES", ((16, 16, 8),))
    (row,) = benchmark.measure_scaling(["spline"], silent)
    assert (row.task, row.psnr_db, row.failure) == ("phantom 16 x 16 x 8", None, "")


@pytest.mark.parametrize("misstated", [-0.2, 0.2])
def test_a_misstated_thickness_leaves_the_distance_between_slices(misstated):
    task = SimulateConfig(thickness_mm=4.0, gap_mm=1.0)
    told = Setup(misstated=misstated).config("tv", task, Grid((9, 9, 9), np.eye(4)))
    assert told.thickness_mm == pytest.approx(4.0 * (1.0 + misstated))
    assert told.thickness_mm + told.gap_mm == pytest.approx(5.0)


def test_the_middle_of_a_side_shorter_than_the_crop_is_all_of_it():
    grid = Grid((20, 9, 30), np.eye(4))
    assert middle_box(grid, 2, 12) == (slice(4, 16), slice(0, 9), slice(0, 30))
    assert middle_box(grid, 2, None) == (slice(0, 20), slice(0, 9), slice(0, 30))
