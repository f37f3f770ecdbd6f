"""The built-in prior of whole brains: it is intact, and what it draws lies where brains lie."""

import numpy as np
import pytest
import torch

from inversesr.io.nifti import read_scan
from inversesr.priors.catalogue import verify_prior
from inversesr.priors.installed import open_prior
from inversesr.solvers.latent.preparation import known_mean
from inversesr.training.alignment import likeness, resampled
from inversesr.workflows.demo import demo_head
from tests.support.problems import one_thread  # noqa: F401  (a fixture)

CPU = torch.device("cpu")
NAME = "builtin-global"


@pytest.fixture(scope="module")
def prior():
    return open_prior(NAME).diffusion(CPU)


@pytest.fixture(scope="module")
def template(prior):
    """The MNI152 template on the grid of the prior."""
    with demo_head() as path:
        head = read_scan(path).volume
    return resampled(head.data, head.grid, prior.grid, np.eye(4), order=1)


def test_it_is_intact_and_says_what_it_is():
    assert len(verify_prior(NAME)) == 4
    card = open_prior(NAME).card
    assert (card.grid.shape, card.grid.pose) == ((160, 224, 160), "MNI152")
    assert (card.modality, card.skull) == ("T1w", "stripped")
    assert [v.name for v in card.conditioning.variables] == ["sex", "age", "ventricles", "brain"]
    assert card.licence == "Apache-2.0"


@pytest.mark.slow
def test_its_mean_image_is_a_brain_in_the_pose_of_the_template(
    prior, template, tmp_path, monkeypatch
):
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path))
    mean = known_mean(prior, torch.zeros(1))
    upright = likeness(mean.data, template)
    assert upright > 0.8
    for axis in (1, 2):
        assert likeness(np.flip(mean.data, axis), template) < upright - 0.05


@pytest.mark.slow
def test_a_brain_survives_its_autoencoder(prior, template):
    x = torch.from_numpy(template / np.percentile(template, 99.9)).float()
    back = prior.decode(prior.encode(x))
    error = float((back - x)[x > 0.1].square().mean().sqrt())
    assert error < 0.06


@pytest.mark.slow
def test_larger_ventricles_are_drawn_where_they_are_asked_for(prior):
    def fluid_in_the_middle(millilitres):
        generator = torch.Generator().manual_seed(0)
        z = prior.sample(6, generator, prior.context({"ventricles": millilitres}))
        return float((prior.decode(z)[60:100, 90:150, 70:100] < 0.35).sum())

    assert fluid_in_the_middle(80.0) > 1.1 * fluid_in_the_middle(10.0)
