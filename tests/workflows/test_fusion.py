from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from inversesr.acquisition.registration import motion_mm
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.solvers.tv import stacks as tv_stacks
from inversesr.volume import Grid, Volume
from inversesr.workflows import fusion as module
from inversesr.workflows.fusion import _gain_and_offset, _with_noise, fuse
from inversesr.workflows.restore import restore
from inversesr.workflows.stack import Stack
from tests.support.heads import head_volume

SHAPE = (32, 36, 28)
CPU = torch.device("cpu")
TV = Config(solver="tv")


def head(scale=1.0):
    """Ellipsoids at no symmetrical place, with edges of about a voxel."""
    shape = tuple(round(scale * n) for n in SHAPE)
    i, j, k = np.indices(shape) / scale
    total = np.zeros(shape)
    for centre, radii, height in [
        ((16, 18, 14), (13, 15, 11), 60.0),
        ((20, 23, 16), (4, 3, 4), 60.0),
        ((11, 13, 17), (3, 5, 3), -40.0),
        ((18, 10, 10), (4, 3, 3), 50.0),
        ((12, 25, 11), (3, 3, 5), 40.0),
    ]:
        distance = np.sqrt(
            sum(((a - c) / r) ** 2 for a, c, r in zip((i, j, k), centre, radii, strict=True))
        )
        total += height / (1.0 + np.exp(4.0 * min(radii) * (distance - 1.0)))
    affine = np.eye(4)
    affine[:3, 3] = [-15.5, -17.5, -13.5]
    return Volume(total.astype(np.float32), Grid(shape, affine))


def stack(axis, truth):
    settings = SimulateConfig(thickness_mm=4.0, axis=axis, noise=0.01, seed=ord(axis))
    return simulate(truth, settings)


def quiet(_phase, _done, _total):
    """Say nothing."""


def error_of(volume):
    """Root mean square distance from the head, on its voxels."""
    truth = head()
    assert volume.grid.same_as(truth.grid)
    return float(np.sqrt(np.mean((volume.data - truth.data) ** 2)))


@pytest.fixture(scope="module")
def scans():
    return [Scan.made_here(stack(axis, head())) for axis in "SAR"]


@pytest.fixture
def at_rest(monkeypatch):
    """Leave out registration: eight slices are too few for it, and the stacks have not moved."""
    monkeypatch.setattr(module, "register_rigid", lambda *_: np.eye(4))


@pytest.fixture(scope="module")
def fusion(scans):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "register_rigid", lambda *_: np.eye(4))
        return fuse(scans, Config(), None, quiet, CPU)


def test_three_orthogonal_stacks_give_a_better_image_than_one(scans, fusion):
    one = restore(scans[:1], Config(solver="tv")).volume
    fused = Volume(fusion.solution.x.numpy(), fusion.fine)
    assert error_of(fused) < 0.97 * error_of(one)


def test_a_stack_that_moved_is_brought_back(monkeypatch):
    monkeypatch.setattr(module, "N_ROUNDS", 1)
    monkeypatch.setattr(tv_stacks, "N_OUTER_STEPS", 1)
    truth = head(1.5)
    still, moved = stack("S", truth), stack("R", truth)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(np.deg2rad([1.0, -2.0, 2.0])).as_matrix()
    pose[:3, 3] = [2.0, -3.0, 1.5]
    elsewhere = Volume(moved.data, Grid(moved.grid.shape, pose @ moved.grid.affine))
    found = fuse([Scan.made_here(v) for v in (still, elsewhere)], Config(), None, quiet, CPU)
    assert found.stacks[0].motion_mm == 0.0
    expected = motion_mm(np.linalg.inv(pose), elsewhere.grid)
    assert found.stacks[1].motion_mm == pytest.approx(expected, abs=1.0)
    # where the stack really was, its operator sees what was measured
    at_truth = found.stacks[1].operator(torch.from_numpy(truth.data))
    seen = found.stacks[1].coverage > 0.99
    off = (at_truth - found.stacks[1].y)[seen].square().mean().sqrt()
    assert float(off) < 0.05 * float(truth.data.max())


def test_stacks_are_registered_to_the_first_and_then_to_what_was_fused(monkeypatch, scans):
    monkeypatch.setattr(tv_stacks, "N_OUTER_STEPS", 2)
    fixed, seeds, phases = [], [], []

    def register(volume, _moving, _mask, _start, seed):
        fixed.append(volume)
        seeds.append(seed)
        return np.eye(4)

    monkeypatch.setattr(module, "register_rigid", register)
    found = fuse(scans[:2], Config(seed=3), None, lambda phase, *_: phases.append(phase), CPU)
    assert [phase for phase in phases if phase.startswith("registering")] == [
        "registering, round 1", "registering, round 2"
    ]  # fmt: skip
    assert fixed[0] is scans[0].volume
    assert fixed[1].grid.same_as(found.fine)
    assert error_of(fixed[1]) < error_of(restore(scans[:1], Config(solver="spline")).volume)
    assert seeds == [3, 3]


def test_every_stack_is_reproduced_to_within_its_noise(fusion):
    for found in fusion.stacks:
        seen = found.coverage > 0.99
        misfit = (found.operator(fusion.solution.x) - found.y)[seen]
        assert float(misfit.square().mean().sqrt()) < 2.5 * found.sigma


@pytest.mark.usefixtures("at_rest")
def test_other_intensities_are_brought_onto_the_scale_of_the_first(scans, fusion, monkeypatch):
    monkeypatch.setattr(tv_stacks, "N_OUTER_STEPS", 2)
    brighter = Scan.made_here(scans[1].volume.with_data(3.0 * scans[1].volume.data + 20.0))
    found = fuse([scans[0], brighter], Config(), None, quiet, CPU).stacks[1]
    expected = fusion.stacks[1].y
    off = (found.y - expected).abs().max() / (expected.max() - expected.min())
    assert float(off) < 0.08


def test_gain_and_offset_of_a_scaled_image_are_found():
    y = torch.linspace(0.0, 5.0, 100)
    assert _gain_and_offset(y, 2.5 * y - 4.0) == pytest.approx((2.5, -4.0), rel=1e-5)


@pytest.mark.usefixtures("at_rest")
def test_a_stated_noise_is_believed(scans, monkeypatch):
    monkeypatch.setattr(tv_stacks, "N_OUTER_STEPS", 2)
    found = fuse(scans[:2], Config(noise=3.0), None, quiet, CPU)
    assert [stack.sigma / stack.gain for stack in found.stacks] == pytest.approx([3.0, 3.0])


@pytest.mark.usefixtures("at_rest")
@pytest.mark.parametrize("shift_mm", [30.0, 300.0])
def test_a_scan_of_another_place_is_refused(scans, shift_mm):
    with pytest.raises(InputError, match="hardly overlap"):
        fuse([scans[0], shifted(scans[1], shift_mm)], Config(), None, quiet, CPU)


def test_a_scan_far_away_is_refused_by_registration_too(scans):
    with pytest.raises(InputError, match="hardly overlap"):
        fuse([scans[0], shifted(scans[1], 300.0)], Config(), None, quiet, CPU)


def shifted(scan, shift_mm):
    affine = scan.volume.grid.affine.copy()
    affine[0, 3] += shift_mm
    return Scan.made_here(Volume(scan.volume.data, Grid(scan.volume.grid.shape, affine)))


@pytest.mark.parametrize(("shift_mm", "n_warnings"), [(20.0, 0), (40.0, 1)])
def test_a_motion_that_no_head_makes_is_warned_of(monkeypatch, scans, shift_mm, n_warnings):
    pose = np.eye(4)
    pose[0, 3] = shift_mm
    moved = scans[1].volume
    elsewhere = Volume(moved.data, Grid(moved.grid.shape, pose @ moved.grid.affine))
    monkeypatch.setattr(module, "N_ROUNDS", 1)
    monkeypatch.setattr(tv_stacks, "N_OUTER_STEPS", 1)
    monkeypatch.setattr(module, "register_rigid", lambda *_: np.linalg.inv(pose))
    result = restore([scans[0], Scan.made_here(elsewhere)], TV)
    assert len(result.notes) == n_warnings
    assert all("registration moved" in note for note in result.notes)


@pytest.mark.parametrize("gain", [0.25, 3.0])
def test_stated_noise_is_that_of_each_scan_as_it_was_read(gain):
    y = torch.rand(4, 5, 6)
    stack = Stack(None, None, None, None, torch.ones_like(y), 0.0, gain, y, 0.0)
    assert _with_noise(stack, 0.1).sigma == pytest.approx(0.1 * gain)


@pytest.fixture
def contradicting(scans):
    """A scan and one of the same head in another contrast."""
    data = scans[1].volume.data
    return [scans[0], Scan.made_here(scans[1].volume.with_data(data.max() - data))]


@pytest.mark.usefixtures("at_rest")
def test_scans_of_two_contrasts_are_refused(contradicting):
    with pytest.raises(InputError, match=r"or not in its contrast.*inversesr batch.*--mask"):
        restore(contradicting, Config())


@pytest.mark.usefixtures("at_rest")
def test_scans_that_are_said_to_be_of_one_person_are_only_warned_of(
    scans, contradicting, monkeypatch
):
    monkeypatch.setattr(tv_stacks, "N_OUTER_STEPS", 2)
    mask = np.ones(scans[0].volume.grid.shape, np.float32)
    named = [replace(s, name=f"sub-1_run-{n}_T2w") for n, s in enumerate(contradicting)]
    for result in (restore(contradicting, TV, mask), restore(named, TV)):
        assert [w for w in result.warnings if "fits the other scans poorly" in w]
    fitting = restore(scans[:2], TV)
    assert not [w for w in fitting.warnings if "fits the other" in w]


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ("SS", ("scan", "scan")),
        ("SR", ("sub-1_T2w", "b")),
        ("SS", ("a", "sub-1_T2w")),
    ],
)
def test_scans_of_different_people_are_refused_before_they_are_fused(axes, names, monkeypatch):
    people = [head_volume((48, 52, 40), (1.0, 1.0, 1.0), seed, folds=14.0) for seed in (0, 1)]
    pair = [
        replace(Scan.made_here(stack(axis, person)), name=name)
        for axis, person, name in zip(axes, people, names, strict=True)
    ]
    monkeypatch.setattr(module, "tv_stacks", None)
    with pytest.raises(InputError, match="does not show the head of"):
        fuse(pair, Config(), None, quiet, CPU)
