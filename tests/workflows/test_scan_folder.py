import json
from pathlib import Path

import pytest

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.workflows import run as job
from inversesr.workflows.batch import Batch, run_batch
from inversesr.workflows.batch_table import DONE, KEPT, REFUSED
from inversesr.workflows.scan_folder import find_scans
from tests.support.batches import SPLINE, statuses, write_pair, write_scan


def test_results_of_another_batch_among_the_scans_are_not_scans(folder):
    run_batch(Batch(folder, folder / "coarse", Config(solver="spline", spacing_mm=2.0)))
    entries = run_batch(Batch(folder, folder / "fine", SPLINE))
    assert statuses(entries) == {"a.nii.gz": DONE, "ward 3/b.nii": DONE}


def test_links_are_followed_once_and_a_dead_one_is_told(folder, tmp_path):
    (folder / "again").symlink_to(folder / "ward 3")
    (folder / "loop").symlink_to(folder)
    (folder / "dead.nii.gz").symlink_to(folder / "nowhere.nii.gz")
    entries = run_batch(Batch(folder, tmp_path / "out", SPLINE))
    found = {entry.scan: entry for entry in entries}
    assert [e.status for e in entries if Path(e.scan).name.startswith("b")] == [DONE]
    assert found["dead.nii.gz"].status == REFUSED
    assert "does not exist" in found["dead.nii.gz"].reason


def test_results_among_the_scans_are_not_taken_for_scans(folder):
    inside = folder / "results"
    first = run_batch(Batch(folder, inside, SPLINE))
    second = run_batch(Batch(folder, inside, SPLINE))
    assert statuses(second) == dict.fromkeys(statuses(first), KEPT)
    beside = run_batch(Batch(folder, folder, SPLINE, ["a.nii.gz"]))
    assert statuses(beside) == {"a.nii.gz": DONE}
    assert [p.name for p in find_scans(folder, without=inside)] == ["a.nii.gz", "b.nii"]


def test_results_by_other_names_are_not_taken_for_scans(folder):
    job.run_job([folder / "a.nii.gz"], SPLINE, folder / "thin.nii.gz")
    assert [p.name for p in find_scans(folder)] == ["a.nii.gz", "b.nii"]
    (folder / "thin.json").write_text('{"files": {"image": "a.nii.gz"}, "SliceThickness": 3}')
    assert [p.name for p in find_scans(folder)] == ["a.nii.gz", "thin.nii.gz", "b.nii"]


def test_of_a_bids_dataset_the_anatomical_scans_are_taken(folder, tmp_path):
    root = tmp_path / "bids"
    told = {"Name": "Ward", "BIDSVersion": "1.9.0"}
    for name in (
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz",
        "sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        "sub-01/func/sub-01_task-rest_bold.nii.gz",
        "derivatives/x/sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/.hidden_T1w.nii.gz",
    ):
        write_scan(root / name)
    (root / "dataset_description.json").write_text(json.dumps(told))
    found = [str(path.relative_to(root)) for path in find_scans(root)]
    assert found == ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz"]
    out = root / "derivatives" / "inversesr"
    (entry,) = run_batch(Batch(root, out, SPLINE, ["*_T1w.nii.gz"]))
    assert entry.image == "sub-01/anat/sub-01_desc-sr_T1w.nii.gz"
    made = json.loads((out / "dataset_description.json").read_text())
    assert (made["DatasetType"], made["BIDSVersion"]) == ("derivative", "1.9.0")
    assert made["GeneratedBy"][0]["Name"] == "inversesr"
    run_batch(Batch(folder, tmp_path / "plain", SPLINE))
    assert not (tmp_path / "plain" / "dataset_description.json").exists()


@pytest.mark.parametrize("is_bids", [False, True])
def test_masks_label_maps_and_phases_are_no_scans(tmp_path, is_bids):
    anat = tmp_path / "sub-01" / "anat"
    anat.mkdir(parents=True)
    for name in (
        "sub-01_T1w", "sub-01_part-mag_T2w", "sub-01_part-phase_T2w", "sub-01_part-real_T2w",
        "sub-01_part-imag_T2w", "sub-01_dseg", "sub-01_label-GM_probseg", "sub-01_desc-brain_mask",
        "lesion_mask", "brain_seg", "aparc+aseg", "head_ph",
    ):  # fmt: skip
        (anat / f"{name}.nii.gz").touch()
    if is_bids:
        (tmp_path / "dataset_description.json").write_text("{}")
    found = [path.name for path in find_scans(tmp_path)]
    assert found == ["sub-01_T1w.nii.gz", "sub-01_part-mag_T2w.nii.gz"]
    with pytest.raises(InputError, match="not called a mask"):
        find_scans(tmp_path, ["*_mask.nii.gz"])


@pytest.mark.parametrize(
    ("patterns", "n"), [([], 2), (["*.nii"], 1), (["ward */*"], 1), (["a*", "b*"], 2)]
)
def test_patterns_say_how_paths_end(folder, patterns, n):
    assert len(find_scans(folder, patterns)) == n


def test_a_pair_of_files_is_one_scan(tmp_path):
    write_pair(tmp_path / "in" / "a.img")
    assert [path.name for path in find_scans(tmp_path / "in")] == ["a.hdr"]
