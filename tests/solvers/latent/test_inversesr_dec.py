import pytest
import torch

from inversesr.solvers.latent.inversesr_dec import InverseSRDecoder, inversesr_dec
from tests.support.problems import gaussian_case, generator, one_thread, quiet, tiny_case  # noqa: F401  (a fixture)


def least_squares_loss(prior, problem):
    """The smallest mean square of A D(z) - y over all latents, by dense algebra."""
    n = prior.inner.variance.numel()
    zero = prior.inner.decode(torch.zeros(prior.latent_shape))
    waves = torch.eye(n).reshape(n, *prior.latent_shape)
    columns = [problem.A(prior.inner.decode(w) - zero).flatten() for w in waves]
    forward = torch.stack(columns, dim=1).double()
    right = (problem.y - problem.A(zero)).flatten().double()
    best = torch.linalg.lstsq(forward, right[:, None]).solution
    return float((forward @ best - right[:, None]).square().mean())


def test_it_minimises_its_own_objective():
    prior, problem, _ = gaussian_case(sigma=0.1)
    options = InverseSRDecoder(data_term="l2", n_steps=400, learning_rate=0.02)
    found = inversesr_dec(problem, prior, options, generator(), quiet)
    assert found.history["loss"][-1] == pytest.approx(least_squares_loss(prior, problem), rel=1e-3)
    assert found.history["loss"][0] > 2.0 * found.history["loss"][-1]


def test_with_the_absolute_penalty_one_wild_voxel_changes_little():
    prior, problem, z = gaussian_case(sigma=0.0)
    problem.y[2, 2, 2] += 5.0
    wrong = {}
    for penalty in ("l1", "l2"):
        options = InverseSRDecoder(data_term=penalty, n_steps=400, learning_rate=0.02)
        found = inversesr_dec(problem, prior, options, generator(), quiet)
        wrong[penalty] = float((found.z - z).norm())
    assert wrong["l1"] < 0.2 * wrong["l2"]


def test_the_published_settings_are_the_defaults():
    prior, problem, _ = gaussian_case()
    found = inversesr_dec(problem, prior, InverseSRDecoder(), generator(), quiet)
    assert found.n_steps == 601
    assert found.status == "stopped after 601 steps"
    assert found.history["loss"][-1] < found.history["loss"][0]


def test_lean_and_stock_gradients_give_the_same_image():
    images = []
    for backend in ("lean", "stock"):
        prior, problem = tiny_case(backend)
        options = InverseSRDecoder(backend=backend, n_steps=4, n_start_samples=1)
        found = inversesr_dec(problem, prior, options, generator(), quiet)
        assert found.history["loss"][-1] < found.history["loss"][0]
        assert found.facts["features"] == "the prior's own encoder"
        assert prior.counts["decode backward"] == 4
        images.append(found.x)
    assert torch.allclose(images[0], images[1], atol=1e-3)


def test_a_seed_repeats_the_image():
    prior, problem = tiny_case()
    options = InverseSRDecoder(n_steps=1, n_start_samples=1, perceptual_weight=0.0)
    one, same = (inversesr_dec(problem, prior, options, generator(4), quiet) for _ in range(2))
    assert torch.equal(one.x, same.x)
    assert one.facts["features"] == "none"
