"""A scan of a small head and a small denoiser, opened at its bottleneck."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import describe_acquisition
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.explain import directions, openness
from inversesr.explain.bottleneck import Opened, make_block
from inversesr.explain.openness import Subject, find_openness
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.operators.proximal import project
from inversesr.priors.networks.conditional_denoiser import ConditionalDenoiser
from inversesr.priors.networks.unet import SuperResolutionShape
from inversesr.volume import Grid, Volume
from tests.support.problems import generator, one_thread

__all__ = ["one_thread"]

SHAPE = (26, 28, 32)


def make_task(axis="S", spacing=(1.0, 1.0, 1.0)):
    data = np.random.default_rng(0).uniform(20, 90, SHAPE).astype(np.float32)
    truth = Volume(data, Grid(SHAPE, np.diag([*spacing, 1.0])))
    thick = simulate(truth, SimulateConfig(axis=axis))
    acquisition = describe_acquisition(Scan.made_here(thick), Config())
    return Task(torch.from_numpy(thick.data), thick.grid, acquisition, 0.0)


@pytest.fixture(scope="session")
def net():
    made = ConditionalDenoiser(SuperResolutionShape((4, 4, 4), (1, 1, 1), 4))
    g = generator(2)
    for weight in made.parameters():
        scale = 0.1 if weight.ndim == 1 else weight[0].numel() ** -0.5
        weight.data = scale * torch.randn(weight.shape, generator=g) + (weight.ndim == 1) * 0.5
    return made.eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="session")
def opened(net):
    task = make_task()
    return Opened(net, make_block(task, torch.ones(task.fine.shape), 16))


@contextmanager
def quick():
    """Search with as few samples, steps and rounds as there can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openness, "N_SAMPLES", 3)
        patch.setattr(openness, "N_DIRECTIONS", 2)
        patch.setattr(directions, "N_STEPS", 1)
        patch.setattr(directions, "N_ROUNDS", 2)
        yield


@pytest.fixture(scope="session")
def subject():
    task = make_task()
    brain = np.zeros(task.fine.shape, dtype=bool)
    brain[3:-3, 3:-3, 3:-3] = True
    labels = np.zeros(task.fine.shape, np.int32)
    labels[10:14, 10:14, 10:14] = 4
    return Subject(task, project(task.A, task.x0, task.y).x, brain, labels)


@pytest.fixture(scope="session")
def found(subject, net):
    with quick():
        return find_openness(subject, net, 0, longest=16)
