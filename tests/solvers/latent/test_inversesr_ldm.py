import pytest
import torch

from inversesr.priors.brain_ldm import BRAIN_LDM
from inversesr.priors.card import parse_card
from inversesr.solvers.latent import inversesr_ldm as module
from inversesr.solvers.latent.inversesr_ldm import InverseSRLDM, in_natural_units, inversesr_ldm
from tests.solvers.latent.test_inversesr_dec import least_squares_loss
from tests.support.problems import gaussian_case, generator, one_thread, quiet, tiny_case  # noqa: F401  (a fixture)


def test_it_minimises_its_own_objective():
    prior, problem, _ = gaussian_case(sigma=0.1)
    options = InverseSRLDM(data_term="l2", n_steps=60)
    found = inversesr_ldm(problem, prior, options, generator(), quiet)
    # a linear chain reaches every latent, so the least loss is that of the decoder alone
    assert found.history["loss"][-1] == pytest.approx(least_squares_loss(prior, problem), rel=0.05)
    assert found.history["loss"][0] > 2.0 * found.history["loss"][-1]


def test_lean_and_stock_backends_give_the_same_image_and_variables(monkeypatch):
    monkeypatch.setattr(module, "N_SAMPLE_STEPS", 10)
    results = []
    for backend in ("lean", "stock"):
        prior, problem = tiny_case(backend)
        options = InverseSRLDM(backend=backend, n_steps=2)
        found = inversesr_ldm(problem, prior, options, generator(), quiet)
        assert found.history["loss"][-1] < found.history["loss"][0]
        results.append(found)
    assert torch.allclose(results[0].x, results[1].x, atol=1e-2)
    lean, stock = (list(r.facts["conditioning"].values()) for r in results)
    assert lean == pytest.approx(stock, rel=1e-3)


def test_conditioning_variables_are_reported_as_a_person_states_them():
    variables = parse_card(BRAIN_LDM).conditioning.variables
    found = in_natural_units(variables, torch.tensor([1.0, 0.5, 0.25, 1.2]))
    assert found == pytest.approx(
        {"sex": 1.0, "age": 63.0, "ventricular_volume": 0.25, "brain_volume": 1.2}
    )
    assert in_natural_units((), None) == {}


def test_variables_start_in_the_middle_and_move_by_the_published_step(monkeypatch):
    monkeypatch.setattr(module, "N_SAMPLE_STEPS", 10)
    prior, problem = tiny_case("stock")
    options = InverseSRLDM(backend="stock", n_steps=1, perceptual_weight=0.0)
    found = inversesr_ldm(problem, prior, options, generator(), quiet)
    # the first step of Adam is the learning rate, up or down
    age = (found.facts["conditioning"]["age"] - 44.0) / 38.0
    assert abs(age - 0.5) == pytest.approx(0.07, rel=1e-2)
