import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.realism_case import Restored, make_case
from inversesr.benchmarks.realism_picture import RealismPicture, about_the_middle
from inversesr.errors import InputError
from inversesr.volume import Grid, Volume
from tests.support.tissues import painted_brain, tissue_labels

LABELS = tissue_labels()


@pytest.fixture(scope="module")
def case():
    return make_case("brain", painted_brain(LABELS), LABELS > 0, SimulateConfig(), None)


def test_truth_interpolation_image_two_samples_and_deviation_stand_side_by_side(case, tmp_path):
    picture = RealismPicture(tmp_path / "seen.png")
    x = case.truth.data
    for solver in ("spline", "tv"):
        picture.look(Restored(case, solver, x))
    samples = np.stack([x + n for n in range(3)])
    picture.look(Restored(case, "diffusion", x, samples.std(axis=0), samples))
    titles = [panel.get_title() for panel in picture.draw().axes]
    columns = ["truth", "spline", "diffusion", "sample 1", "sample 2", "deviation, white: 20%"]
    assert titles == 2 * columns
    picture.write()
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_only_the_first_case_is_drawn(case, tmp_path):
    other = make_case("other", painted_brain(LABELS), LABELS > 0, SimulateConfig(), None)
    picture = RealismPicture(tmp_path / "seen.png")
    picture.look(Restored(case, "spline", case.truth.data))
    picture.look(Restored(other, "spline", 0.0 * case.truth.data))
    assert picture.images["spline"].data.max() > 0.0


def test_what_is_shown_lies_about_the_head_wherever_that_is():
    data = np.zeros((120, 120, 40), np.float32)
    data[10:50, 60:110, :] = 1.0
    box = about_the_middle(Volume(data, Grid(data.shape, np.eye(4))))
    assert [(side.start, side.stop) for side in box] == [(0, 64), (52, 116), (0, 40)]


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected a name ending in \.png"):
        RealismPicture(tmp_path / "seen.jpg")
