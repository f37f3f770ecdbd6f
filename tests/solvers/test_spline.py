import numpy as np
import torch

from inversesr.acquisition.geometry import describe_acquisition
from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.solvers.setup import Setup
from inversesr.solvers.spline import SOLVER, Spline, restore
from inversesr.volume import Grid, Volume


def test_the_image_is_the_interpolated_scan():
    data = np.random.default_rng(0).uniform(size=(6, 7, 5)).astype(np.float32)
    scan = Scan.made_here(Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0]))))
    acquisition = describe_acquisition(scan, Config())
    task = Task(torch.from_numpy(data), scan.volume.grid, acquisition, 0.0)
    found = restore(task, Setup(SOLVER, Spline(), None, "off"))
    assert torch.equal(found.x, task.x0)
    assert found.status == "closed form"
