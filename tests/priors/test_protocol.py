import pytest
import torch

from inversesr.priors.gaussian import make_gaussian_prior
from inversesr.priors.instrumented import instrument
from inversesr.priors.loading import assemble_prior, load_prior
from tests.support.prior_laws import check_prior
from tests.support.small_brain_ldm import card_of, random_tensors


def latent_diffusion():
    card = card_of()
    return assemble_prior(card, random_tensors(card))


# a new prior joins by one line
PRIORS = {
    "gaussian": lambda: make_gaussian_prior((12, 10, 9), (4, 3, 3)),
    "latent diffusion": latent_diffusion,
    "instrumented": lambda: instrument(latent_diffusion()),
    "builtin": lambda: load_prior("builtin", dtype=torch.float32, shape=(16, 16, 16)),
}


@pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS)
def test_every_prior_obeys_the_laws(make):
    check_prior(make())


class Forgetful:
    """A prior whose decoder draws its own noise."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def decode(self, z):
        return self.inner.decode(z) + torch.rand(self.inner.grid.shape)


def test_a_prior_that_answers_otherwise_each_time_is_noticed():
    with pytest.raises(AssertionError):
        check_prior(Forgetful(make_gaussian_prior((12, 10, 9), (4, 3, 3))))
