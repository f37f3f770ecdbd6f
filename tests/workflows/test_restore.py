from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from inversesr.acquisition.geometry import forward_operator
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.evaluation.metrics import psnr
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.operators.proximal import project
from inversesr.protocols import Solution
from inversesr.solvers.tv import single as tv
from inversesr.solvers.tv.single import SHARE_OF_NOISE
from inversesr.solvers.unet import solver as unet
from inversesr.volume import Grid, Volume
from inversesr.workflows.prepare import Prepared, solver_of_fusion
from inversesr.workflows.record import provenance
from inversesr.workflows.restore import choose_device, restore
from tests.support.heads import head_volume
from tests.support.problems import random_tensors, tiny_card, write_prior

SHAPE = (22, 23, 24)
POINT_MM = np.array([13.4, -21.7, 36.2])


def point_phantom(linear):
    """A Gaussian blob at POINT_MM on 1 mm voxels with these axes; not at the grid's centre."""
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = POINT_MM - linear @ (np.array(SHAPE) / 2.0 + [0.37, -0.81, 0.24])
    world = affine[:3, :3] @ np.indices(SHAPE).reshape(3, -1) + affine[:3, 3:]
    distance2 = ((world - POINT_MM[:, None]) ** 2).sum(axis=0).reshape(SHAPE)
    data = 1000.0 * np.exp(-distance2 / (2.0 * 2.2**2))
    return Volume(data.astype(np.float32), Grid(SHAPE, affine))


def centre_of_mass_mm(volume):
    voxels = np.indices(volume.grid.shape).reshape(3, -1)
    world = volume.grid.affine[:3, :3] @ voxels + volume.grid.affine[:3, 3:]
    weights = volume.data.ravel().astype(np.float64)
    return world @ weights / weights.sum()


def signed_permutation(order, flips):
    return np.eye(3)[:, list(order)] * np.array(flips, dtype=float)


TILT = Rotation.from_rotvec([0.25, -0.4, 0.3]).as_matrix()
ORIENTATIONS = {
    **{f"order {o}": signed_permutation(o, (1, 1, 1)) for o in permutations(range(3))},
    "flipped x": np.diag([-1.0, 1.0, 1.0]),
    "flipped y": np.diag([1.0, -1.0, 1.0]),
    "flipped z": np.diag([1.0, 1.0, -1.0]),
    "LPS": np.diag([-1.0, -1.0, 1.0]),
    "oblique": TILT,
    "oblique, left-handed": TILT @ signed_permutation((2, 0, 1), (1, -1, 1)),
}


@pytest.mark.parametrize("solver", ["spline", "tv"])
@pytest.mark.parametrize("axis", ["R", "A", "S"])
@pytest.mark.parametrize("linear", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_a_point_comes_back_where_it_was_in_the_world(linear, axis, solver, monkeypatch):
    # a misplaced voxel shows after a few steps, as it does after many
    monkeypatch.setattr(tv, "N_STEPS", 10)
    truth = point_phantom(linear)
    assert np.linalg.norm(centre_of_mass_mm(truth) - POINT_MM) < 1e-3
    scan = Scan.made_here(simulate(truth, SimulateConfig(thickness_mm=4.0, axis=axis)))
    # noise is stated: a tiny blob has no tissue to judge it by
    restored = restore([scan], Config(solver=solver, noise=0.0)).volume
    assert np.linalg.norm(centre_of_mass_mm(restored) - POINT_MM) < 0.05
    image = restored.data.reshape(-1)
    brightest = np.unravel_index(int(image.argmax()), restored.grid.shape)
    brightest_mm = restored.grid.affine @ np.append(brightest, 1.0)
    assert np.linalg.norm(brightest_mm[:3] - POINT_MM) < 2.0


def test_a_tilted_scan_brings_the_point_back_too():
    settings = SimulateConfig(thickness_mm=4.0, rotate=9.0)
    scan = Scan.made_here(simulate(point_phantom(TILT), settings))
    restored = restore([scan], Config(solver="tv", noise=0.0)).volume
    assert np.linalg.norm(centre_of_mass_mm(restored) - POINT_MM) < 0.05


def head(noise=0.02):
    """Thick slices of two nested ellipsoids, and the truth behind them."""
    shape = (24, 26, 28)
    i, j, k = np.indices(shape)
    radius = np.sqrt(((i - 12) / 9) ** 2 + ((j - 13) / 10) ** 2 + ((k - 13) / 11) ** 2)
    inner = np.sqrt(((i - 14) / 4) ** 2 + ((j - 11) / 5) ** 2 + ((k - 14) / 5) ** 2)
    data = 100.0 / (1.0 + np.exp(20.0 * (radius - 1.0)))
    data -= 50.0 / (1.0 + np.exp(12.0 * (inner - 1.0)))
    truth = Volume(data.astype(np.float32), Grid(shape, np.eye(4)))
    scan = simulate(truth, SimulateConfig(thickness_mm=4.0, noise=noise))
    return truth, Scan.made_here(scan)


def test_the_scan_is_not_touched():
    _, scan = head()
    before = scan.volume.data.copy()
    restore([scan], Config())
    assert np.array_equal(scan.volume.data, before)


def test_exact_data_consistency_reproduces_the_scan():
    result = restore([head()[1]], Config(consistency="exact"))
    assert result.consistency == "exact"
    assert result.sources[0].agreement.largest_share < 1e-5


def test_data_consistency_to_within_the_noise_leaves_most_of_the_noise():
    result = restore([head()[1]], Config(solver="tv", consistency="noise", noise=2.0))
    assert result.consistency == "noise"
    assert result.sources[0].agreement.rms == pytest.approx(SHARE_OF_NOISE * 2.0, rel=0.01)


def test_without_data_consistency_the_solvers_image_is_the_result():
    result = restore([head()[1]], Config(consistency="off"))
    assert result.consistency == "off"
    assert result.sources[0].agreement == result.sources[0].before_consistency


def test_the_spline_is_never_made_consistent():
    result = restore([head()[1]], Config(solver="spline", consistency="exact"))
    assert result.consistency == "off"
    assert result.sources[0].agreement.largest_share > 1e-3


def test_tv_is_nearer_to_the_truth_than_the_spline():
    truth, scan = head(noise=0.01)
    everywhere = np.ones(truth.grid.shape, dtype=bool)

    def score(solver):
        restored = restore([scan], Config(solver=solver)).volume
        assert restored.grid.same_as(truth.grid)
        return psnr(restored.data, truth.data, everywhere, 100.0)

    assert score("tv") > score("spline") + 0.5


def test_the_noise_is_estimated_unless_it_is_stated():
    _, scan = head(noise=0.04)
    assert restore([scan], Config(noise=1.25)).sources[0].noise == 1.25
    assert 2.0 < restore([scan], Config()).sources[0].noise < 8.0


def test_the_image_lies_in_the_world_of_the_scan():
    _, scan = head()
    result = restore([scan], Config(solver="spline"))
    np.testing.assert_allclose(result.image.affine, result.volume.grid.affine)
    assert result.image.shape == result.volume.grid.shape
    assert result.status == "closed form"


def test_what_was_assumed_is_said_once():
    result = restore([head()[1]], Config(solver="spline"))
    assert sum("not stated" in warning for warning in result.warnings) == 1


def test_progress_is_told():
    seen = []
    restore([head()[1]], Config(solver="tv"), progress=lambda *step: seen.append(step))
    assert {phase for phase, _, _ in seen} == {"tv"}


@pytest.mark.parametrize("solver", ["spline", "latent-pnp", "split-gibbs"])
def test_several_scans_need_a_solver_that_fuses(solver):
    _, scan = head()
    with pytest.raises(
        InputError, match=f"{solver} takes one and only tv, unet and diffusion fuse several"
    ):
        restore([scan, scan], Config(solver=solver))


def test_several_scans_give_no_samples():
    _, scan = head()
    with pytest.raises(InputError, match="leave out --samples"):
        restore([scan, scan], Config(samples=3))


def test_several_scans_are_fused_into_the_space_of_the_first():
    truth, scan = head()
    other = Scan.made_here(simulate(truth, SimulateConfig(thickness_mm=4.0, axis="R", seed=5)))
    result = restore([scan, other], Config())
    assert result.volume.grid.same_as(truth.grid)
    assert len(result.sources) == 2
    assert result.sources[1].agreement.rms < 5.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="no CUDA device"):
        choose_device("cuda")
    assert choose_device("auto") == torch.device("cpu")


def test_a_mask_that_is_no_brain_refuses_a_fixed_prior_and_tv_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tv, "N_STEPS", 3)
    card = tiny_card()
    folder = write_prior(tmp_path / "fixed", card, random_tensors(card))
    thick = simulate(point_phantom(np.eye(3)), SimulateConfig(axis="S", thickness_mm=4.0))
    config = Config(solver="latent-pnp", prior=str(folder))
    mask = np.ones(thick.grid.shape, dtype=np.float32)
    result = restore([Scan.made_here(thick)], config, mask)
    assert (result.solver_asked, result.solver_used) == ("latent-pnp", "tv")
    assert (result.prior_used, result.prior_refused) == (None, str(folder))
    record = provenance(result, [])
    assert (record["solver"]["asked"], record["solver"]["used"]) == ("latent-pnp", "tv")
    assert record["prior_card"] is None
    assert "expected 700 to 2200 mL in one piece" in result.warnings[0]


def thick_scan():
    data = np.random.default_rng(0).uniform(20, 90, (12, 10, 6)).astype(np.float32)
    return Scan.made_here(Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 4.0, 1.0]))))


def test_data_consistency_uses_the_slice_thickness_that_the_solver_found(monkeypatch):
    def solve(prepared, _progress):
        return Solution(prepared.task.x0, "converged", 1, thickness_factor=1.25)

    monkeypatch.setattr(Prepared, "solve", solve)
    result = restore([thick_scan()], Config(solver="latent-map"))
    (source,) = result.sources
    assert source.acquisition.thickness_mm == pytest.approx(5.0)
    assert "1.25 times what was stated" in source.acquisition.assumptions[-1]
    scan = source.scan.volume
    x = torch.from_numpy(result.volume.data)
    A = forward_operator(scan.grid, result.volume.grid, source.acquisition)
    assert float((A(x) - torch.from_numpy(scan.data)).abs().max()) < 1e-2
    stated = replace(source.acquisition, thickness_mm=4.0)
    A = forward_operator(scan.grid, result.volume.grid, stated)
    assert float((A(x) - torch.from_numpy(scan.data)).abs().max()) > 1.0


def test_a_solver_that_does_not_fuse_several_scans_is_refused():
    scans = [thick_scan(), thick_scan()]
    with pytest.raises(
        InputError, match=r"2 scans were given; latent-pnp takes one .* diffusion$"
    ):
        restore(scans, Config(solver="latent-pnp"))


def test_what_a_mask_protects_from_the_unet_is_the_interpolated_scan(monkeypatch):
    scan = thick_scan()
    region = np.zeros(scan.volume.grid.shape, dtype=np.float32)
    region[:6] = 1.0

    def invent(task, *_arguments):
        return Solution(task.x0 + 50.0, "one pass", 1)

    monkeypatch.setattr(unet, "unet", invent)
    config = Config(solver="unet", keep_unprotected=True, consistency="off")
    result = restore([scan], config, protect=region)
    task = Task(
        torch.from_numpy(scan.volume.data), scan.volume.grid, result.sources[0].acquisition, 0.0
    )
    consistent = project(task.A, task.x0, task.y).x.numpy()
    np.testing.assert_allclose(result.volume.data[:6], consistent[:6], atol=1e-2)
    np.testing.assert_allclose(result.volume.data[7:], task.x0.numpy()[7:] + 50.0, atol=1e-2)
    np.testing.assert_allclose(result.unprotected.data, task.x0.numpy() + 50.0, atol=1e-2)
    assert float(result.prior_mask.data[:6].max()) < 1e-5


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"protect": "mask.nii.gz"}, "leave out --protect"),
        ({"consistency": "exact"}, "leave out --consistency"),
        ({"samples": 3}, "leave out --samples"),
        ({"solver": "latent-pnp"}, "only tv, unet and diffusion fuse several"),
    ],
)
def test_what_a_fusion_would_not_heed_is_refused(choices, words):
    scans = [Scan.made_here(v) for v in (head()[1].volume, head()[1].volume)]
    assert solver_of_fusion(scans, Config(solver="tv"))[0].name == "tv"
    with pytest.raises(InputError, match=words):
        solver_of_fusion(scans, Config(**choices))


def test_missing_slices_are_generated_and_marked_and_the_others_reproduced():
    volume = head_volume((16, 18, 10), (3.6, 3.6, 14.4))
    scan = Scan.made_here(volume)
    chosen = Config(solver="tv", missing="4,7", consistency="exact", spacing_mm=3.6)
    result = restore([scan], chosen)
    assert "slices 4 and 7 (counted from 0) are missing" in result.warnings[0]
    marked = result.maps["generated"].volume
    assert marked.grid.same_as(result.volume.grid)
    n, n_fine = volume.grid.shape[2], marked.grid.shape[2]
    share = marked.data[0, 0].reshape(n, n_fine // n).mean(axis=1)
    np.testing.assert_allclose(share, np.isin(np.arange(n), (4, 7)))
    seen = result.sources[0].agreement
    assert len(seen.rms_by_slice) == n - 2
    assert seen.largest_share < 1e-4
    record = provenance(result, [])
    assert record["scans"][0]["acquisition"]["missing"] == (4, 7)
    assert record["warnings"][0] == result.warnings[0]


def test_what_a_missing_slice_holds_changes_nothing():
    volume = head_volume()
    spoilt = volume.data.copy()
    spoilt[..., 5] = 1e4
    images = [
        restore([Scan.made_here(volume.with_data(data))], Config(solver="spline", missing="5"))
        for data in (volume.data, spoilt)
    ]
    np.testing.assert_array_equal(images[0].volume.data, images[1].volume.data)
