import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.explain import directions, openness
from inversesr.explain.regions import BRAIN
from inversesr.io.nifti import Scan, write_volume
from inversesr.workflows import run as job
from inversesr.workflows.explain import ExplainInputs, explain, explain_file, is_fluid_bright
from inversesr.workflows.finished_run import take_up
from inversesr.workflows.run import run_job
from tests.support.heads import head_volume
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.thin_slices import write_short_report
from tests.support.whole_priors import QUICK, write_whole_prior

SEEDED = ExplainInputs(seed=3, threads=1)


def write_scan(folder):
    volume = head_volume((20, 22, 6), (1.0, 1.0, 4.0), folds=4.0)
    write_volume(folder / "scan.nii.gz", volume, Scan.made_here(volume))
    return volume


@pytest.fixture(autouse=True, scope="module")
def _quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "write_report", write_short_report)
        patch.setattr("inversesr.workflows.explain.has_deepbet", lambda: False)
        patch.setattr(openness, "N_SAMPLES", 3)
        patch.setattr(openness, "N_DIRECTIONS", 2)
        patch.setattr(directions, "N_STEPS", 1)
        patch.setattr(directions, "N_ROUNDS", 1)
        yield


@pytest.fixture(scope="module")
def by_network(tmp_path_factory):
    """A run by a small prior, in a folder with its scan."""
    folder = tmp_path_factory.mktemp("network")
    write_scan(folder)
    prior = write_whole_prior(folder / "prior")
    config = Config(solver="unet", prior=prior, settings=QUICK, threads=1)
    return run_job([folder / "scan.nii.gz"], config, folder)[1]


@pytest.fixture(scope="module")
def by_spline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spline")
    write_scan(folder)
    return run_job([folder / "scan.nii.gz"], Config(solver="spline"), folder)[1]


@pytest.fixture(scope="module")
def written(by_network, tmp_path_factory):
    return explain_file(by_network.image, SEEDED, tmp_path_factory.mktemp("written"))


def test_the_same_seed_writes_the_same_files(by_network, written, tmp_path):
    _, files = explain_file(by_network.sidecar, SEEDED, tmp_path)
    for one, other in zip(files.all, written[1].all, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_what_was_written_is_whole_and_adds_up(by_network, written):
    record, files = written
    told = json.loads(files.record.read_text())
    energy = told["energy"]
    assert energy["measured"] + energy["unmeasured"] == pytest.approx(energy["whole"], rel=1e-5)
    assert told["regions"]["whole image"]["intensity"] == pytest.approx(
        energy["measured"] / energy["whole"], rel=1e-4
    )
    assert len(told["left_open"]["directions"]) == 2
    assert told["not_told"] == ""
    image = nibabel.load(files.measured)
    assert image.shape == nibabel.load(by_network.image).shape
    data = image.get_fdata()
    assert 0.0 <= data.min() < data.max() <= 1.0
    page = files.page.read_text()
    assert page.count("data:image/png") == 4
    assert "Direction 1" in page
    assert record["files"]["page"] == files.page.name


def test_nothing_is_replaced_unless_asked(by_network, written):
    with pytest.raises(InputError, match="exists already"):
        explain_file(by_network.image, SEEDED, written[1].page.parent)


def test_a_result_without_a_prior_is_taken_apart_and_the_rest_is_told_in_a_sentence(
    by_spline, tmp_path
):
    record, files = explain_file(by_spline.image, SEEDED, tmp_path)
    assert record["left_open"] is None
    assert "made by spline without a prior" in record["not_told"]
    # plain interpolation adds nothing to interpolation
    assert record["regions"]["whole image"]["added"] < 1e-6
    assert "made by spline without a prior" in files.page.read_text()


def test_a_prior_that_has_changed_or_has_no_denoiser_leaves_one_sentence(by_network, tmp_path):
    run = take_up(by_network.image)
    card = {**run.record["prior_card"], "sha256": "0" * 64}
    other = replace(run, record={**run.record, "prior_card": card})
    assert "its card has changed" in explain(other, SEEDED).why_closed
    gone = replace(run, config=replace(run.config, prior=str(tmp_path / "gone")))
    assert "cannot be opened" in explain(gone, SEEDED).why_closed


def test_a_stack_with_holes_is_taken_apart_and_the_rest_is_told_in_a_sentence(by_network):
    run = take_up(by_network.image)
    acquisition = replace(run.task.acquisition, missing=(2,))
    kept = [0, 1, 3, 4, 5]
    task = replace(run.task, acquisition=acquisition, y=run.task.y[:, :, kept])
    found = explain(replace(run, task=task), SEEDED)
    assert "slices are missing" in found.why_closed
    assert found.regions[BRAIN].detail is not None


def test_labels_and_a_mask_are_regions(by_spline, tmp_path):
    scan = head_volume((20, 22, 6), (1.0, 1.0, 4.0), folds=4.0)
    labels = np.zeros(scan.data.shape, np.float32)
    labels[5:15, 5:15, 2:4] = 7.0
    write_volume(tmp_path / "labels.nii.gz", scan.with_data(labels), Scan.made_here(scan))
    inputs = ExplainInputs(
        mask=tmp_path / "labels.nii.gz", labels=tmp_path / "labels.nii.gz", threads=1
    )
    found = explain(take_up(by_spline.image), inputs)
    assert found.regions["label 7"] == found.regions[BRAIN]
    assert found.regions["label 7"].n_voxels == 10 * 10 * 8
    assert found.found_brain == "the mask labels.nii.gz"


def test_no_datum_depends_on_what_was_not_measured(by_network):
    run = take_up(by_network.image)
    prior = replace(run, config=replace(run.config, prior="none"))
    parts = explain(prior, SEEDED).parts
    largest = float(run.task.A(parts.unmeasured).abs().max())
    assert largest < 1e-5 * float(run.volume.data.max())


@pytest.mark.parametrize(
    ("name", "sidecar", "is_bright"),
    [
        ("sub-1_T2w", {}, True),
        ("sub-1_T1w", {}, False),
        ("scan", {"SeriesDescription": "ax t2 tse"}, True),
        ("scan", {"SeriesDescription": "ax t2 FLAIR"}, False),
        ("scan", {}, False),
    ],
)
def test_fluid_is_bright_where_the_scan_is_called_t2(name, sidecar, is_bright):
    assert is_fluid_bright(name, sidecar) is is_bright
