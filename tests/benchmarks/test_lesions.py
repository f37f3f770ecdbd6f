import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks import lesions as study_of_lesions
from inversesr.benchmarks.comparison import Setup
from inversesr.benchmarks.lesion_painting import Lesion, paint, with_lesions
from inversesr.benchmarks.lesion_runs import Seen, Subject, measured_change
from inversesr.benchmarks.lesions import Study, invented, judge, measure_lesions
from inversesr.volume import Grid, Volume

SHAPE = (30, 28, 32)
TASK = SimulateConfig(thickness_mm=4.0)


@pytest.fixture(scope="module")
def subject():
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    brain = sum(a**2 for a in axes) < 0.95
    data = (brain * (100.0 + rng.normal(0, 1, SHAPE))).astype(np.float32)
    truth = Volume(data, Grid(SHAPE, np.eye(4)))
    scene = [
        paint(truth, 100.0, Lesion(kind, 6.0, 0.5, "in slice"), np.array(centre), rng)
        for kind, centre in (("bright", (10.0, 14.0, 13.5)), ("dark", (20.0, 14.0, 17.5)))
    ]
    return Subject("head", TASK, truth, brain, [scene])


def judged(subject, image, plain):
    (scene,) = subject.scenes
    seen = Seen(subject, scene, "magic", {"": image}, {"": plain})
    config = Setup().config("spline", TASK, subject.truth.grid)
    return list(judge(seen, measured_change(subject, scene, config), [0.5, 0.5]))


def test_the_truth_keeps_every_lesion_and_invents_none(subject):
    truth = subject.truth.data
    rows = judged(subject, with_lesions(subject.truth, subject.scenes[0]).data, truth)
    assert [row.outcome for row in rows] == ["kept", "kept"]
    assert [row.found for row in rows] == pytest.approx([1.0, 1.0])
    assert all(0.5 < row.measured < 1.0 for row in rows)
    assert invented(subject, truth) == []


def test_an_image_without_the_lesions_has_missed_them(subject):
    truth = subject.truth.data
    rows = judged(subject, truth, truth)
    assert [(row.outcome, row.found) for row in rows] == [("missed", 0.0)] * 2


def test_one_lesion_that_is_gone_is_missed_and_the_other_kept(subject):
    image = with_lesions(subject.truth, subject.scenes[0][1:]).data
    assert [row.outcome for row in judged(subject, image, subject.truth.data)] == [
        "missed",
        "kept",
    ]


def test_what_appears_in_a_head_without_lesions_is_invented(subject):
    image = subject.truth.data.copy()
    image[13:17, 18:22, 20:24] += 40.0
    (spot,) = invented(subject, image)
    assert spot.contrast == pytest.approx(40.0, abs=2.0)
    outside = subject.truth.data.copy()
    outside[:4, :4, :4] += 40.0
    assert invented(subject, outside) == []


def test_what_lesions_cause_elsewhere_is_a_ghost(subject):
    truth = subject.truth.data
    image = with_lesions(subject.truth, subject.scenes[0]).data.copy()
    image[13:17, 18:22, 22:26] += 40.0
    rows = judged(subject, image, truth)
    assert [row.outcome for row in rows] == ["kept", "kept", "ghost"]
    assert (rows[2].kind, rows[2].placement) == ("bright", "")


def test_interpolation_is_measured_beside_every_solver(subject, monkeypatch, tmp_path):
    monkeypatch.setattr(study_of_lesions, "prepare_subject", lambda *_: subject)
    told, looked = [], []
    study = Study([TASK], ["tv"], Setup(settings=("solver.n_steps=5",)))
    rows = measure_lesions([tmp_path / "head.nii"], study, told.append, looked.append)
    assert rows == told
    lesions = [row for row in rows if row.placement]
    assert [(row.solver, row.kind) for row in lesions] == [
        (solver, kind) for solver in ("spline", "tv") for kind in ("bright", "dark")
    ]
    assert [seen.solver for seen in looked] == ["spline", "tv"]
    spline = [row.found for row in lesions[:2]]
    assert [row.by_spline for row in lesions] == [*spline, *spline]
    assert {row.outcome for row in lesions} == {"kept"}
