import numpy as np
import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.loading import load_prior
from inversesr.report.prior_pictures import (
    beside_midline_mm,
    draw_reconstruction,
    draw_sample,
    draw_samples,
    encode_and_decode,
    middle_mm,
    show_prior,
)
from inversesr.volume import Grid, Volume
from tests.support import problems
from tests.support.problems import free_card, generator, one_thread, random_tensors, tiny_card  # noqa: F401

SHAPE = (13, 10, 9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    card = free_card()
    return problems.write_prior(tmp_path_factory.mktemp("p") / "tiny", card, random_tensors(card))


@pytest.fixture
def small(monkeypatch):
    """Samples of few voxels by few steps."""
    monkeypatch.setattr("inversesr.report.prior_pictures.SAMPLE_EXTENT_MM", (16.0, 32.0, 16.0))
    monkeypatch.setattr("inversesr.report.prior_pictures.N_STEPS", 2)


@pytest.fixture
def image():
    data = np.random.default_rng(0).uniform(10, 90, SHAPE).astype(np.float32)
    return Volume(data, Grid(SHAPE, np.eye(4)))


def test_an_image_of_any_shape_is_reconstructed_in_its_own_voxels(folder, image):
    seen, kept = encode_and_decode(load_prior(folder), image)
    assert kept.data.shape == seen.data.shape == SHAPE
    assert seen.data.min() == pytest.approx(0.0, abs=1e-6)
    assert float(np.percentile(seen.data, 99.0)) < 1.001
    np.testing.assert_array_equal(kept.grid.affine, image.grid.affine)


def test_the_reconstruction_is_that_of_encode_and_decode(folder):
    data = np.random.default_rng(1).uniform(0, 1, (16, 16, 16)).astype(np.float32)
    prior = load_prior(folder)
    low, high = np.percentile(
        data, [prior.card.intensity.low_percentile, prior.card.intensity.high_percentile]
    )
    x = torch.from_numpy((data - low) / (high - low)).float()
    fitting = prior.on_shape((16, 16, 16))
    expected = fitting.decode(fitting.encode(x)).numpy()
    _, kept = encode_and_decode(prior, Volume(data, Grid((16, 16, 16), np.eye(4))))
    np.testing.assert_allclose(kept.data, expected, atol=1e-5)


@pytest.mark.usefixtures("small")
def test_samples_follow_their_seed_and_differ_from_one_another(folder):
    prior, source = load_prior(folder), generator(3)
    first, second = draw_sample(prior, source), draw_sample(prior, source)
    again = draw_sample(prior, generator(3))
    np.testing.assert_array_equal(first.data, again.data)
    assert not np.array_equal(first.data, second.data)
    assert first.data.shape == (16, 32, 16)


@pytest.mark.usefixtures("small")
def test_both_pictures_are_written_and_the_error_is_measured(folder, image, tmp_path):
    drawn = show_prior(str(folder), image, tmp_path / "out", n_samples=2)
    assert [file.name for file in drawn.files] == ["reconstruction.png", "samples.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in drawn.files)
    seen, kept = encode_and_decode(load_prior(folder), image)
    assert drawn.rmse == pytest.approx(float(np.sqrt(((kept.data - seen.data) ** 2).mean())))


def test_without_samples_only_the_reconstruction_is_drawn(folder, image, tmp_path):
    drawn = show_prior(str(folder), image, tmp_path, n_samples=0)
    assert [file.name for file in drawn.files] == ["reconstruction.png"]


def test_each_sample_is_a_row_and_the_difference_is_in_its_own_colours(image):
    figure = draw_samples([image, image])
    assert len(figure.axes) == 6
    figure = draw_reconstruction(image, image.with_data(image.data + 0.05))
    shown = [panel.images[0] for panel in figure.axes]
    assert [picture.get_cmap().name for picture in shown] == ["gray"] * 6 + ["seismic"] * 3
    assert float(np.abs(np.asarray(shown[8].get_array()) - 0.05).max()) < 1e-4


def test_a_prior_without_a_denoiser_says_what_to_do(folder, image, tmp_path, monkeypatch):
    from dataclasses import replace

    bare = replace(load_prior(folder), denoiser=None)
    monkeypatch.setattr("inversesr.report.prior_pictures.load_prior", lambda _name: bare)
    with pytest.raises(InputError, match="--samples 0"):
        show_prior("tiny", image, tmp_path)


def test_a_fixed_prior_sees_the_image_where_it_lies_in_the_world(tmp_path, image):
    card = tiny_card()
    folder = problems.write_prior(tmp_path / "fixed", card, random_tensors(card))
    prior = load_prior(folder)
    seen, kept = encode_and_decode(prior, image)
    assert seen.data.shape == kept.data.shape == prior.grid.shape


def test_the_planes_lie_beside_the_midline():
    grid = Grid((11, 21, 5), np.diag([2.0, 1.0, 3.0, 1.0]))
    assert middle_mm(grid) == (10.0, 10.0, 6.0)
    assert beside_midline_mm(grid) == (22.0, 10.0, 6.0)
