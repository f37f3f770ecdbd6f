import csv
import json
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest

from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.volume import Grid, Volume
from inversesr.workflows import bids
from inversesr.workflows import run as job
from inversesr.workflows.batch import Batch
from inversesr.workflows.batch_table import DONE, KEPT, REFUSED
from inversesr.workflows.bids import (
    Study,
    planes_together,
    restore_participants,
    validate,
    visit_of,
)
from inversesr.workflows.executors import alone
from tests.support.batches import SPLINE, statuses
from tests.support.bids import LINK, NAMES, errors_of, write_dataset
from tests.support.thin_slices import write_short_report


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """A dataset; what is meant for other processes stays in this one."""
    monkeypatch.setattr(alone, "prepared_process", lambda _work: ThreadPoolExecutor(1))
    monkeypatch.setattr(job, "write_report", write_short_report)
    return write_dataset(tmp_path / "raw")


def test_results_keep_all_entities_and_a_link_without_content_is_a_row(raw, tmp_path):
    entries = restore_participants(Study(Batch(raw, tmp_path / "out", SPLINE)))
    expected = {f"{name}.nii.gz": DONE for name in NAMES} | {f"{LINK}.nii.gz": REFUSED}
    assert statuses(entries) == expected
    assert "datalad get" in entries[-1].reason
    for name in NAMES:
        image = tmp_path / "out" / f"{name.removesuffix('_T2w')}_desc-sr_T2w.nii.gz"
        assert nibabel.load(image).shape == (12, 11, 24)
    again = restore_participants(Study(Batch(raw, tmp_path / "out", SPLINE)))
    assert [entry.status for entry in again].count(KEPT) == len(NAMES)


def test_each_visit_has_a_table_of_its_own(raw, tmp_path):
    out = tmp_path / "out"
    restore_participants(Study(Batch(raw, out, SPLINE), ["sub-01"], ["a"]))
    restore_participants(Study(Batch(raw, out, SPLINE), ["02"], ["ses-a"]))
    tables = sorted(path.name for path in (out / "logs").iterdir())
    assert tables == ["sub-01_ses-a.csv", "sub-02_ses-a.csv"]
    with (out / "logs" / "sub-01_ses-a.csv").open(newline="") as file:
        assert [row["scan"] for row in csv.DictReader(file)] == [
            f"{name}.nii.gz" for name in NAMES[:2]
        ]


def test_results_are_a_dataset_that_the_validator_accepts(raw, tmp_path):
    pytest.importorskip("bids_validator_deno")
    out = tmp_path / "out"
    restore_participants(Study(Batch(raw, out, SPLINE)))
    assert errors_of(out) == []
    told = json.loads((out / "dataset_description.json").read_text())
    assert told["GeneratedBy"][0]["Name"] == "inversesr"
    assert told["DatasetLinks"] == {"raw": "../raw"}
    assert validate(raw) == ""


def test_an_invalid_dataset_is_refused(raw):
    pytest.importorskip("bids_validator_deno")
    (raw / "sub-01" / "ses-a" / "anat" / "mine.nii.gz").write_bytes(b"no name of BIDS")
    with pytest.raises(InputError, match=r"no valid BIDS dataset: .*mine.nii.gz"):
        validate(raw)


def test_a_validator_that_is_missing_is_told(raw, monkeypatch):
    monkeypatch.setattr(bids, "find_spec", lambda _name: None)
    assert "not installed" in validate(raw)


@pytest.mark.parametrize(
    ("subjects", "sessions", "sentence"),
    [(["03"], [], "no scan of sub-03; the dataset has 01, 02"), ([], ["c"], "no scan of ses-c")],
)
def test_labels_that_are_not_there_are_refused(raw, tmp_path, subjects, sessions, sentence):
    with pytest.raises(InputError, match=sentence):
        restore_participants(Study(Batch(raw, tmp_path / "out", SPLINE), subjects, sessions))
    assert not (tmp_path / "out").exists()


def test_a_folder_without_description_is_no_dataset(raw, tmp_path):
    (raw / "dataset_description.json").unlink()
    with pytest.raises(InputError, match="is no BIDS dataset"):
        restore_participants(Study(Batch(raw, tmp_path / "out", SPLINE)))


def head():
    """Return a smooth blob with a dent, 24 mm wide, in thin slices."""
    i, j, k = np.indices((24, 26, 24))
    far = np.sqrt(((i - 11) / 9) ** 2 + ((j - 13) / 10) ** 2 + ((k - 12) / 9) ** 2)
    dent = np.sqrt((i - 15) ** 2 + (j - 9) ** 2 + (k - 14) ** 2) < 4
    data = 100.0 / (1.0 + np.exp(8.0 * (far - 1.0))) - 40.0 * dent * (far < 1)
    return Volume(data.astype(np.float32), Grid(data.shape, np.eye(4)))


def test_the_planes_of_a_visit_are_fused_and_each_scan_is_a_row(raw, tmp_path):
    for name, axis in zip(NAMES[:2], "SA", strict=True):
        thick = simulate(head(), SimulateConfig(thickness_mm=4.0, axis=axis))
        nibabel.save(nibabel.Nifti1Image(thick.data, thick.grid.affine), raw / f"{name}.nii.gz")
    batch = Batch(raw, tmp_path / "out", Config(solver="tv", settings=("solver.n_steps=10",)))
    entries = restore_participants(Study(batch, ["01"], ["a"], is_fusing=True))
    assert statuses(entries) == {f"{name}.nii.gz": DONE for name in NAMES[:2]}
    (image,) = {entry.image for entry in entries}
    record = json.loads((tmp_path / "out" / image.replace(".nii.gz", ".json")).read_text())
    assert len(record["inputs"]) == 2
    again = restore_participants(Study(batch, ["01"], ["a"], is_fusing=True))
    assert {entry.status for entry in again} == {KEPT}


def test_scans_are_together_that_differ_in_plane_or_run_only(tmp_path):
    names = [
        "sub-1_acq-axial_T2w.nii.gz",
        "sub-1_acq-coronal_run-2_T2w.nii.gz",
        "sub-1_acq-axial_T1w.nii.gz",
        "sub-1_ce-gd_T1w.nii.gz",
        "other.nii.gz",
    ]
    scans = [tmp_path / name for name in names]
    groups = [[scan.name for scan in group] for group in planes_together(scans)]
    assert groups == [names[:2], [names[2]], [names[3]], [names[4]]]
    assert visit_of(scans[0]) == "sub-1"
