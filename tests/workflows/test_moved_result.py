from dataclasses import replace

import numpy as np
import pytest

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.report.figures import poses
from inversesr.volume import Volume
from inversesr.workflows.moved_result import kind_of_motion
from inversesr.workflows.prepare import solver_of_fusion
from inversesr.workflows.refusals import refuse_ignored
from inversesr.workflows.restore import restore
from tests.measurements.test_slice_motion import blobs, moved, task_of
from tests.workflows.test_motion import true_motion


def scan_of(task):
    return Scan.made_here(Volume(task.y.numpy(), task.scan_grid))


def test_by_default_no_motion_is_looked_for():
    x = blobs()
    assert Config().motion == "off"
    assert kind_of_motion(moved(x, true_motion(task_of(x))), Config()) is None


def test_auto_acts_where_interleaves_lie_apart_and_only_there():
    x = blobs()
    still = task_of(x)
    assert kind_of_motion(moved(x, true_motion(still)), Config(motion="auto")) == "interleaves"
    assert kind_of_motion(still, Config(motion="auto")) is None


def test_a_stack_with_holes_is_refused_where_motion_is_asked_for():
    task = task_of(blobs())
    holed = replace(task, acquisition=replace(task.acquisition, missing=(3,)))
    with pytest.raises(InputError, match="slices are missing"):
        kind_of_motion(holed, Config(motion="slices"))


def test_the_result_tells_the_poses_and_draws_them():
    x = blobs()
    task = moved(x, true_motion(task_of(x)))
    found = restore([scan_of(task)], Config(solver="tv", motion="interleaves"))
    assert found.volume.grid.same_as(task.fine)
    assert "interleaves were brought together" in found.warnings[0]
    turned = found.facts["poses"][1]["degrees"]
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm([2.0, 1.5, 1.5]), abs=0.7)
    left, right = poses(found).axes
    assert len(left.lines) == len(right.lines) == 3
    assert len(found.sources[0].agreement.rms_by_slice) == 10


def test_solvers_that_join_no_slices_are_refused():
    with pytest.raises(InputError, match=r"only .* bring slices together"):
        refuse_ignored(Config(solver="spline", motion="auto"))


def test_the_motion_within_one_of_several_scans_is_refused():
    scan = scan_of(task_of(blobs()))
    with pytest.raises(InputError, match="--motion slices looks within one"):
        solver_of_fusion([scan, scan], Config(motion="slices", solver="tv"))
