import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.lesion_painting import Lesion, paint, with_lesions
from inversesr.benchmarks.lesion_picture import Strip, around_lesion, chosen_of
from inversesr.benchmarks.lesion_runs import Seen, Subject
from inversesr.errors import InputError
from inversesr.volume import Grid, Volume

SHAPE = (20, 18, 24)
CENTRES = ((6.0, 9.0, 7.0), (13.0, 9.0, 16.0))


def subject_of(axis="S"):
    truth = Volume(np.full(SHAPE, 100, dtype=np.float32), Grid(SHAPE, np.eye(4)))
    rng = np.random.default_rng(0)
    scene = [
        paint(truth, 100.0, Lesion("bright", 4.0, contrast, "in slice"), np.array(at), rng)
        for contrast, at in zip((0.2, 0.5), CENTRES, strict=True)
    ]
    task = SimulateConfig(thickness_mm=4.0, axis=axis)
    return Subject("head", task, truth, np.ones(SHAPE, dtype=bool), [scene])


def test_the_lesion_is_in_the_middle_of_what_is_shown():
    subject = subject_of()
    (scene,) = subject.scenes
    shown = around_lesion(with_lesions(subject.truth, scene), scene[1])
    middle = np.linalg.inv(shown.grid.affine) @ [0, 0, 0, 1]
    at = tuple(middle[:3].astype(int))
    assert at == tuple(n // 2 for n in shown.data.shape)
    assert shown.data[at] == pytest.approx(150.0)
    assert shown.data[0, 0, 0] == 0.0  # beyond the edge of the image


def test_of_each_size_and_kind_the_strongest_contrast_is_shown():
    assert chosen_of(subject_of()) == [[1]]


@pytest.mark.parametrize("axis", ["S", "A", "R"])
def test_a_row_has_the_truth_and_two_panels_a_solver(tmp_path, axis):
    subject, strip = subject_of(axis), Strip(tmp_path / "lesions.png")
    (scene,) = subject.scenes
    image, plain = with_lesions(subject.truth, scene).data, subject.truth.data
    for solver in ("spline", "unet"):
        strip.look(Seen(subject, scene, solver, {"": image}, {"": plain}))
    (row,) = strip.rows
    assert [panel.title for panel in row] == [
        "without", "bright, 4 mm, in slice", "spline", "with - without", "unet", "with - without",
    ]  # fmt: skip
    # the plane has to cut the slices, not to lie in one
    order = {"S": 2, "A": 1, "R": 0}
    assert {panel.axis for panel in row} <= {0, 1} - {order[axis]}
    assert row[3].volume.data.max() == pytest.approx(50.0)


def test_the_picture_is_a_png(tmp_path):
    subject, strip = subject_of(), Strip(tmp_path / "lesions.png")
    data = subject.truth.data
    strip.look(Seen(subject, subject.scenes[0], "tv", {"": data}, {"": data}))
    strip.write()
    assert strip.file.read_bytes().startswith(b"\x89PNG")


def test_only_the_first_head_is_drawn(tmp_path):
    strip = Strip(tmp_path / "lesions.png")
    for subject in (subject_of(), subject_of()):
        data = subject.truth.data
        strip.look(Seen(subject, subject.scenes[0], "tv", {"": data}, {"": data}))
    assert [len(row) for row in strip.rows] == [4]


def test_a_file_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match=r"expected a name ending in \.png"):
        Strip(tmp_path / "lesions.jpg")
