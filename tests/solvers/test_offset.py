from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import Acquisition
from inversesr.config import Config
from inversesr.measurements.slices import Task
from inversesr.protocols import Solution
from inversesr.solvers.offset import with_offset, without_offset
from inversesr.workflows.prepare import prepare_task
from tests.support.heads import head_volume


def task_of(offset=0.0):
    volume = head_volume((33, 36, 9), (1.0, 1.0, 4.0))
    acquisition = Acquisition(2, 4.0, 4.0, "rect", (1.0, 1.0, 1.0))
    # air at 0, as scanners mask it, in steps that float32 knows with the offset too
    y = torch.from_numpy(np.round(np.clip(volume.data - 12, 0, None)) + np.float32(offset))
    return Task(y, volume.grid, acquisition, 4.0)


def quiet(*_):
    """Report no progress."""


@cache
def solved(solver, offset=0.0):
    settings = ("solver.adapt_steps=2",) if solver == "unet" else ()
    return prepare_task(task_of(offset), Config(solver=solver, settings=settings)).solve(quiet)


@pytest.mark.parametrize("offset", [3000.0, -500.0, -2000.0, 100.0])
@pytest.mark.parametrize("solver", ["spline", "tv", "unet"])
def test_an_offset_of_the_scan_is_one_of_the_result_and_no_more(solver, offset):
    plain, moved = solved(solver), solved(solver, offset)
    scale = float(plain.x.max())
    torch.testing.assert_close(moved.x - offset, plain.x, rtol=0.0, atol=2e-3 * scale)
    if plain.sd is not None:
        torch.testing.assert_close(moved.sd, plain.sd, rtol=0.05, atol=1e-3 * scale)


@pytest.mark.parametrize("offset", [0.0, 2.0, -2.0])
def test_a_scan_whose_air_is_at_zero_is_solved_as_it_is(offset):
    task = task_of(offset)
    assert without_offset(task) == (task, 0.0)


def test_all_images_of_a_solution_come_back_in_the_intensities_of_the_scan():
    x = torch.arange(8.0).reshape(2, 2, 2)
    found = Solution(x, "closed form", 0, samples=torch.stack([x, 2 * x]), unprotected=3 * x, sd=x)
    back = with_offset(found, 100.0)
    for image, before in ((back.x, x), (back.samples[1], 2 * x), (back.unprotected, 3 * x)):
        torch.testing.assert_close(image, before + 100.0)
    torch.testing.assert_close(back.sd, x)
    assert with_offset(found, 0.0) is found
    bare = with_offset(replace(found, samples=None, unprotected=None), 1.0)
    assert bare.samples is None
    assert bare.unprotected is None
