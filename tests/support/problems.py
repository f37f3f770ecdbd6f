"""Small problems with a known answer, and a tiny latent diffusion prior with random weights."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.operators.interpolation import spline_operator
from inversesr.operators.separable import SeparableOperator
from inversesr.priors.brain_ldm import BRAIN_LDM
from inversesr.priors.card import FileCard, ScheduleCard, dump_card, parse_card
from inversesr.priors.gaussian import BRAIN_LDM_SCHEDULE, make_gaussian_prior
from inversesr.priors.instrumented import InstrumentedPrior, instrument
from inversesr.priors.loading import assemble_prior
from inversesr.priors.networks.build import build_network
from inversesr.priors.store import digest
from inversesr.priors.tensors import save_tensors
from inversesr.solvers.latent.problem import Problem
from inversesr.volume import Grid

FACTOR = 2
# noise levels of a rectified flow; every closed form holds for them as for those of a diffusion
FLOW = ScheduleCard("rectified_flow", 1000, "flow", "trailing")
EITHER = pytest.mark.parametrize("noise", [BRAIN_LDM_SCHEDULE, FLOW], ids=["diffusion", "flow"])
FLOW_SLOWLY = pytest.mark.parametrize(
    "noise",
    [BRAIN_LDM_SCHEDULE, pytest.param(FLOW, marks=pytest.mark.slow)],
    ids=["diffusion", "flow"],
)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks on busy cores: threads that wait for one another cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def quiet(_done, _total):
    """Report no progress."""


def averaging(shape, factor=FACTOR):
    """Average neighbouring voxels along the last axis."""
    matrix = np.kron(np.eye(shape[2] // factor), np.full((1, factor), 1.0 / factor))
    return SeparableOperator(shape, (None, None, matrix))


def identity(shape):
    return SeparableOperator(shape, (None, None, None))


def problem_of(x, sigma=0.0, seed=0, factor=FACTOR, A=None):
    """Degrade an image with slices along the last axis; prior grid and fine grid are the same."""
    shape = tuple(x.shape)
    A = A or averaging(shape, factor)
    y = A(x) + sigma * torch.randn(A.out_shape, generator=generator(seed + 100))
    fine = Grid(shape, np.eye(4))
    scan = fine.respaced(A.out_shape, (1.0, 1.0, float(shape[2] / A.out_shape[2])))
    one = identity(shape)
    return Problem(A, y, sigma, spline_operator(scan, fine), one, one, torch.ones(shape), 2)


def gaussian_counted(prior):
    """Wrap a Gaussian prior for solvers."""
    return InstrumentedPrior(prior, prior.schedule)


def gaussian_case(
    sigma=0.02, shape=(6, 5, 8), n_waves=(3, 2, 4), seed=0, noise=BRAIN_LDM_SCHEDULE
):
    """Return a Gaussian prior, a problem made from one of its samples, and the true latent."""
    prior = make_gaussian_prior(shape, n_waves, schedule=noise)
    z = prior.sample(generator(seed))
    return gaussian_counted(prior), problem_of(prior.decode(z), sigma, seed), z


def tiny_card(**changes):
    """The brain LDM with small widths and a small grid."""
    data = copy.deepcopy(BRAIN_LDM)
    data["networks"]["autoencoder"]["arguments"] |= {
        "channels": [4, 8, 8, 8],
        "norm_num_groups": 4,
        "num_res_blocks": 1,
    }
    data["networks"]["denoiser"]["arguments"] |= {
        "channels": [8, 16],
        "num_head_channels": [0, 16],
        "attention_levels": [False, True],
        "norm_num_groups": 4,
        "num_res_blocks": 1,
    }
    data["grid"] |= {"shape": [16, 32, 16]}
    return parse_card({**data, **changes})


def tiny_prior(gradients="lean", **changes):
    """A latent diffusion prior with random weights."""
    card = tiny_card(**changes)
    made = random_tensors(card)
    return instrument(replace(assemble_prior(card, made), gradients=gradients))


def random_tensors(card):
    """Weights of every network of a card, of the size that keeps signals alive."""
    made = {}
    for role, network in card.networks.items():
        g = generator(2)
        made[role] = {}
        for name, t in build_network(network).state_dict().items():
            noise = torch.randn(t.shape, generator=g)
            around = 1.0 if t.ndim == 1 and name.endswith("weight") else 0.0
            scale = 0.1 if t.ndim == 1 else t[0].numel() ** -0.5
            made[role][name] = around + scale * noise
    return made


def write_prior(folder, card, tensors):
    """Write a prior with given weights to a folder; return the folder."""
    folder.mkdir()
    files = {}
    for role, network in card.networks.items():
        path = folder / network.file
        save_tensors(path, tensors[role])
        files[network.file] = FileCard(path.stat().st_size, digest(path))
    (folder / "prior.json").write_text(dump_card(replace(card, files=files)))
    return folder


def free_card(**changes):
    """A free prior of small networks, without conditioning."""
    data = json.loads(dump_card(tiny_card()))
    data["grid"] = {"kind": "free", "spacing_mm": [1, 1, 1], "multiple": 16}
    data["conditioning"] = {}
    arguments = data["networks"]["denoiser"]["arguments"]
    arguments |= {"in_channels": 3, "with_conditioning": False, "cross_attention_dim": None}
    return parse_card({**data, **changes})


def tiny_case(gradients="lean", sigma=0.01):
    """Return a tiny latent diffusion prior and a problem made from one of its images."""
    prior = tiny_prior(gradients)
    x = prior.decode(torch.randn(prior.latent_shape, generator=generator(5)))
    prior.counts.clear()
    return prior, problem_of(x, sigma, factor=4)
