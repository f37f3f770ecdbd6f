from pathlib import Path

import numpy as np
import pytest

from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.result import MAPS, SHARE, make_map
from inversesr.volume import Grid, Volume
from inversesr.workflows.outputs import output_names
from inversesr.workflows.restore import restore
from tests.support.problems import free_card, one_thread, random_tensors, write_prior  # noqa: F401


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A result with every map that there may be."""
    card = free_card()
    prior = write_prior(tmp_path_factory.mktemp("prior") / "tiny", card, random_tensors(card))
    data = np.random.default_rng(0).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    scan = Scan.made_here(Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0]))))
    settings = ("solver.n_levels=1", "solver.n_denoiser_steps=1")
    config = Config(
        "split-gibbs", prior=str(prior), settings=settings, samples=3, keep_unprotected=True
    )
    return restore([scan], config)


def test_every_kind_of_map_is_made_in_the_order_of_the_table(result):
    # nothing was generated: no slices are missing
    assert list(result.maps) == [name for name in MAPS if name != "generated"]


def test_a_map_lies_on_the_voxels_of_the_image_and_tells_what_it_is(result):
    for name, found in result.maps.items():
        assert found.volume.grid.same_as(result.volume.grid)
        assert found.volume.data.dtype == np.float32
        assert found.unit == MAPS[name].unit
        assert found.meaning
        assert found.source
        if found.unit == SHARE:
            assert 0.0 <= found.volume.data.min() <= found.volume.data.max() <= 1.0


def test_a_deviation_says_whether_it_is_of_samples_or_expected(result):
    assert result.maps["sd"].meaning == "standard deviation of the samples"
    assert result.maps["sd"].source == "3 samples drawn by the solver"
    assert make_map("sd", result.volume, "a network").meaning.startswith("expected error")


def test_maps_are_attributes_of_the_result_too(result):
    for name in ("sd", "prior_mask", "surprise", "unprotected"):
        assert getattr(result, name) is result.maps[name].volume
    low, high = result.quantiles.values()
    assert (low, high) == (result.maps["low"].volume, result.maps["high"].volume)
    assert sorted(result.quantiles) == [0.05, 0.95]
    assert (low.data <= high.data).all()


def test_what_is_not_there_is_none(result):
    bare = restore([result.sources[0].scan], Config(solver="spline"))
    assert bare.maps == bare.quantiles == {}
    assert bare.sd is bare.prior_mask is bare.surprise is bare.unprotected is None


def test_every_map_has_a_file_of_its_own():
    files = output_names(Path("sub-01_T1w.nii.gz"), None).files
    assert set(MAPS) < set(files)
    assert len(set(files.values())) == len(files)


def test_every_layer_of_the_viewer_is_one_map():
    layers = [kind.layer for kind in MAPS.values() if kind.layer]
    assert len(set(layers)) == len(layers)
