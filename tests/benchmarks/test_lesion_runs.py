import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks import lesion_runs
from inversesr.benchmarks.comparison import Setup
from inversesr.benchmarks.lesion_painting import Lesion, paint
from inversesr.benchmarks.lesion_runs import Subject, measured_change, restored, scan_mask
from inversesr.result import make_map
from inversesr.volume import Grid, Volume

SHAPE = (22, 20, 24)
TASK = SimulateConfig(thickness_mm=4.0)


def subject_of(task=TASK, centre=(11, 10, 11.5), diameter_mm=6.0):
    rng = np.random.default_rng(0)
    data = 100.0 + rng.normal(0, 1, SHAPE)
    truth = Volume(data.astype(np.float32), Grid(SHAPE, np.eye(4)))
    one = paint(truth, 100.0, Lesion("bright", diameter_mm, 0.5, ""), np.array(centre), rng)
    return Subject("head", task, truth, np.ones(SHAPE, dtype=bool), [[one]])


def config_of(subject, solver="spline"):
    return Setup().config(solver, subject.task, subject.truth.grid)


def test_what_the_slices_show_gives_the_same_slices_and_is_the_least_that_does():
    subject = subject_of()
    (scene,) = subject.scenes
    found = measured_change(subject, scene, config_of(subject))
    change = np.zeros(SHAPE)
    change[scene[0].box] = scene[0].change
    # touching slices of 4 voxels: the least image is the mean of each slice
    expected = change.reshape(22, 20, 6, 4).mean(axis=3).repeat(4, axis=2)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_of_a_lesion_in_a_gap_the_slices_show_nothing():
    task = SimulateConfig(thickness_mm=2.0, gap_mm=6.0)
    subject = subject_of(task, centre=(11, 10, 7.5), diameter_mm=2.0)
    (scene,) = subject.scenes
    assert np.abs(measured_change(subject, scene, config_of(subject))).max() < 1e-4


def test_without_lesions_a_head_is_restored_from_its_own_slices():
    subject = subject_of()
    plain = restored(subject, [], config_of(subject), is_masked=False)
    changed = restored(subject, subject.scenes[0], config_of(subject), is_masked=False)
    assert list(plain) == [""]
    assert plain[""].shape == SHAPE
    box = subject.scenes[0][0].box
    assert (changed[""] - plain[""])[box].max() > 20.0


def test_the_mask_covers_what_one_sees_of_the_lesions_on_the_slices():
    subject = subject_of()
    mask = scan_mask(subject)
    assert mask.shape == (22, 20, 6)
    assert mask[11, 10, 2] == mask[11, 10, 3] == 1.0
    assert not mask[..., [0, 5]].any()
    assert 0 < mask.sum() < 200


class Recorder:
    """Stands in for `restore`: gives maps as solvers of each kind do."""

    def __init__(self, subject, maps):
        self.subject, self.maps, self.masks = subject, maps, []

    def __call__(self, _scans, config, protect=None):
        assert config.keep_unprotected
        self.masks.append(protect)
        truth = self.subject.truth
        self.volume = truth.with_data(truth.data + 7.0)
        self.config = config
        made = {name: make_map(name, truth, "test") for name in self.maps}
        return type("Found", (), {"volume": self.volume, "maps": made})


@pytest.mark.parametrize(
    ("solver", "maps", "is_masked", "names", "n_runs"),
    [
        ("spline", [], True, {""}, 1),
        ("unet", [], False, {""}, 1),
        ("unet", ["unprotected"], True, {"mask", ""}, 1),
        ("latent-pnp", ["unprotected", "surprise"], False, {"residual map", "", "surprise"}, 1),
        ("latent-pnp", ["unprotected", "surprise"], True,
         {"mask", "residual map", "", "surprise"}, 2),
    ],
)  # fmt: skip
def test_a_run_gives_the_image_with_and_without_what_keeps_the_prior_away(
    monkeypatch, solver, maps, is_masked, names, n_runs
):
    subject = subject_of()
    recorder = Recorder(subject, maps)
    monkeypatch.setattr(lesion_runs, "restore", recorder)
    found = restored(subject, [], config_of(subject, solver), is_masked=is_masked)
    assert set(found) == names
    assert len(recorder.masks) == n_runs
    assert (recorder.masks[0] is not None) == ("mask" in names)
    if "mask" in names:
        np.testing.assert_allclose(found["mask"], subject.truth.data + 7.0)
        np.testing.assert_allclose(found[""], subject.truth.data)


def test_the_task_is_told_in_words():
    task = SimulateConfig(thickness_mm=4.0, gap_mm=1.0, axis="A", noise=0.02)
    assert subject_of(task).task_words == "4 mm rect, gap 1 mm along A, 2 % noise"
    assert subject_of().task_words == "4 mm rect"
