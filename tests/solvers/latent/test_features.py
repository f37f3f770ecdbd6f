from dataclasses import replace

import pytest
import torch

from inversesr.priors.tensors import save_tensors
from inversesr.solvers.latent.features import perceptual_term
from inversesr.solvers.latent.inversesr_dec import InverseSRDecoder
from tests.solvers.latent.test_feature_networks import vgg_tensors
from tests.support.laws import normal
from tests.support.problems import gaussian_case, one_thread, tiny_case  # noqa: F401  (a fixture)


def test_the_measured_scan_itself_is_at_no_distance():
    prior, problem = tiny_case()
    term = perceptual_term(problem, prior, InverseSRDecoder())
    assert term.name == "the prior's own encoder"
    assert float(term(problem.y)) == pytest.approx(0.0, abs=1e-9)
    near, far = (problem.y + s * normal(problem.y.shape, 1).float() for s in (0.01, 0.1))
    assert 0.0 < float(term(near)) < float(term(far))


def test_the_distance_can_be_descended():
    prior, problem = tiny_case()
    term = perceptual_term(problem, prior, InverseSRDecoder())
    y = (problem.y + 0.1 * normal(problem.y.shape, 1).float()).requires_grad_()
    (slope,) = torch.autograd.grad(term(y), y)
    assert float(term(y.detach() - 0.5 * slope / slope.abs().max() * 0.1)) < float(
        term(y.detach())
    )


def test_a_named_network_is_used_on_the_slices(tmp_path):
    save_tensors(tmp_path / "vgg.safetensors", vgg_tensors())
    prior, problem = tiny_case()
    options = InverseSRDecoder(features_file=str(tmp_path / "vgg.safetensors"))
    term = perceptual_term(problem, prior, options)
    assert term.name == "vgg.safetensors"
    n_slices = problem.y.shape[problem.slice_axis]
    assert [tuple(f.shape[:1]) for f in term.target] == [(n_slices,)] * 5
    assert float(term(problem.y + 0.1 * normal(problem.y.shape, 1).float())) > 0.0


@pytest.mark.parametrize("case", ["weight 0", "no encoder"])
def test_without_features_there_is_no_distance(case):
    prior, problem = tiny_case() if case == "weight 0" else gaussian_case()[:2]
    options = InverseSRDecoder()
    options = replace(options, perceptual_weight=0.0) if case == "weight 0" else options
    term = perceptual_term(problem, prior, options)
    assert term.name == "none"
    assert float(term(problem.y + 1.0)) == 0.0
