import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.unet import SuperResolutionShape, SuperResolutionUNet, load_unet
from inversesr.priors.slice_examples import collate, consistent_error, make_example
from inversesr.solvers.unet.fine_tuning import (
    CHARBONNIER,
    GRADIENT_WEIGHT,
    Slicing,
    adapt,
    annealed,
    can_adapt,
    cut,
    draw_example,
    find_gradients,
    set_gradient,
    turn,
)
from inversesr.training.initialisation import draw_weights

GEOMETRY = SliceGeometry(4.0, 4.0, 1.5)
SLICING = Slicing(GEOMETRY, "rect", 0.0, (0, 1))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def image(shape=(40, 41, 33)):
    """Smooth blobs, as anatomy is, in [0, 1]."""
    blobs = gaussian_filter(np.random.default_rng(0).normal(size=shape), 1.5)
    return torch.from_numpy(blobs / np.ptp(blobs) + 0.5).float()


def net():
    network = SuperResolutionUNet(
        SuperResolutionShape(widths=(8, 8, 8), n_blocks=(1, 1, 1), n_embedding=4)
    )
    draw_weights(network, torch.Generator().manual_seed(0))
    return network


def error(network, example):
    with torch.no_grad():
        x = network(example.start, example.slices)
    return float((example.make_consistent(x) - example.truth).square().mean())


def test_a_few_steps_make_the_shipped_network_better_at_the_scan_itself(generator):
    before, sharp = load_unet("builtin", torch.device("cpu")), image()
    after = adapt(before, sharp, SLICING, 6, generator, lambda _n, _of: None)
    patch = sharp.movedim(0, -1)[:40, :32, :40].contiguous()
    example = make_example(patch, GEOMETRY, "rect", 0.0, generator)
    # measured: 0.92; a tenth of the learning rate 0.98, ten times as much 1.1
    assert error(after, example) < 0.95 * error(before, example)


def test_another_seed_adapts_otherwise():
    one, other = (
        adapt(net(), image(), SLICING, 2, torch.Generator().manual_seed(n), lambda _n, _of: None)
        for n in (3, 4)
    )
    assert not torch.equal(one.head.weight, other.head.weight)


def test_the_network_that_is_given_stays_as_it_was(generator):
    given = net()
    before = {name: tensor.clone() for name, tensor in given.state_dict().items()}
    adapted = adapt(given, image(), SLICING, 2, generator, lambda _n, _of: None)
    assert all(torch.equal(before[name], t) for name, t in given.state_dict().items())
    assert not torch.equal(adapted.head.weight, given.head.weight)


def test_the_same_seed_adapts_alike():
    twice = [
        adapt(net(), image(), SLICING, 2, torch.Generator().manual_seed(3), lambda _n, _of: None)
        for _ in range(2)
    ]
    for first, second in zip(*(n.parameters() for n in twice), strict=True):
        assert torch.equal(first, second)


def test_slices_are_never_made_across_the_axis_that_is_thick(generator):
    ramp = torch.arange(33.0).expand(40, 41, 33)
    for _ in range(20):
        turned, _ = turn(ramp, (0, 1), generator)
        assert float(turned.diff(dim=-1).abs().max()) == 0.0


def test_a_patch_of_a_mirrored_image_is_mirrored_itself():
    sharp = image()
    for mirrored in ([], [0], [1, 2], [0, 1, 2]):
        found = cut(sharp, mirrored, torch.Generator().manual_seed(5))
        expected = cut(sharp.flip(mirrored), [], torch.Generator().manual_seed(5))
        assert torch.equal(found, expected)


def test_examples_have_the_thickness_of_the_scan_and_any_phase(generator):
    drawn = [draw_example(image(), SLICING, generator).slices[0] for _ in range(12)]
    assert all(s[:2].tolist() == [4.0, 4.0] for s in drawn)
    assert len({float(s[2]) for s in drawn}) > 3
    assert 1.5 in {float(s[2]) for s in drawn}


@pytest.mark.parametrize(
    ("shape", "axes", "possible"),
    [((32, 32, 32), (0,), True), ((31, 40, 40), (0,), False), ((40, 40, 40), (), False)],
)
def test_a_scan_must_be_large_and_sharp_somewhere(shape, axes, possible):
    assert can_adapt(torch.Size(shape), Slicing(GEOMETRY, "rect", 0.0, axes)) is possible


def test_the_rate_rises_and_falls_to_nothing():
    rates = [annealed(n, 60) for n in range(61)]
    assert rates[0] < rates[5] < rates[12]
    assert rates[60] == pytest.approx(0.0, abs=1e-9)
    assert max(rates) <= 1.0


def test_fine_tuning_does_not_depend_on_the_number_of_threads():
    before, found = torch.get_num_threads(), []
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        seeded = torch.Generator().manual_seed(0)
        adapted = adapt(net(), image(), SLICING, 3, seeded, lambda _n, _of: None)
        found.append(adapted.state_dict())
    torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(found[0][name], tensor) for name, tensor in other.items())


def test_pieces_of_a_step_have_the_gradient_of_the_whole_batch(generator):
    network = net().requires_grad_()
    drawn = [draw_example(image(), SLICING, generator) for _ in range(4)]
    set_gradient(network, find_gradients(network, drawn, torch.device("cpu")))
    batch = collate(drawn)
    loss = consistent_error(
        network(batch.start, batch.slices), batch, CHARBONNIER, GRADIENT_WEIGHT
    )
    expected = torch.autograd.grad(loss, list(network.parameters()))
    found = torch.cat([weight.grad.flatten() for weight in network.parameters()])
    wanted = torch.cat([gradient.flatten() for gradient in expected])
    assert (found - wanted).norm() < 0.02 * wanted.norm()
