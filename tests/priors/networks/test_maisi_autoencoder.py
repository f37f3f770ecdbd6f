import pytest
import torch

from inversesr.priors.card import parse_card
from inversesr.priors.conversion.checkpoints import convert_tensors
from inversesr.priors.networks.build import boundary_layers, hold_in, load_network
from inversesr.priors.networks.lean_autograd import lean_copy
from inversesr.priors.networks.slabs import decode_in_slabs, encode_in_slabs
from tests.support.golden import randn, worst
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.published import maisi_networks, small_nv

TOLERANCE = 1e-5
X, Z = randn(1, 1, 16, 24, 16), randn(1, 4, 6, 4, 5)


@pytest.fixture(scope="module")
def theirs():
    """MONAI's own class."""
    return maisi_networks(small_nv())[0]


@pytest.fixture
def ours(theirs):
    tensors, card = convert_tensors(
        theirs.state_dict(), parse_card(small_nv()).networks["autoencoder"]
    )
    return load_network(card, tensors, partial=False)


def test_the_plain_class_with_trilinear_upsampling_is_the_same_network(theirs, ours):
    with torch.inference_mode():
        assert worst(ours.decode(Z), theirs.decode(Z)) < TOLERANCE
        for found, expected in zip(ours.encode(X), theirs.encode(X), strict=True):
            assert worst(found, expected) < TOLERANCE


@pytest.mark.parametrize("slab_voxels", [64, 700, 10**6])
def test_slabs_give_what_the_whole_gives(theirs, ours, slab_voxels):
    with torch.inference_mode():
        assert worst(decode_in_slabs(ours, Z, slab_voxels), theirs.decode(Z)) < TOLERANCE
        assert worst(encode_in_slabs(ours, X, slab_voxels), theirs.encode(X)[0]) < TOLERANCE


def test_half_precision_stays_near(theirs, ours):
    held = hold_in(ours, torch.bfloat16, exact=boundary_layers(ours))
    with torch.inference_mode():
        assert worst(decode_in_slabs(held, Z, 200), theirs.decode(Z)) < 0.05


def test_the_lean_gradient_is_that_of_the_stock_network(theirs, ours):
    gradients = []
    for network in (theirs, lean_copy(ours)):
        z = Z.clone().requires_grad_()
        gradients.append(torch.autograd.grad(network.decode(z).square().sum(), z)[0])
    assert worst(gradients[1], gradients[0]) < 1e-4
