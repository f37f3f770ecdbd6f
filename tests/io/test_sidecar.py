import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.nifti import read_scan
from inversesr.io.sidecar import read_sidecar, sidecars_of


@pytest.fixture
def scan(tmp_path):
    """A scan without a sidecar."""
    voxels = np.random.default_rng(0).uniform(0, 1000, (7, 6, 5)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, 1.0, 4.0, 1.0])), tmp_path / "a.nii.gz")
    return tmp_path / "a.nii.gz"


def test_the_sidecar_beside_the_image_is_read(scan):
    scan.with_name("a.json").write_text('{"SliceThickness": 3.0}')
    assert read_scan(scan).sidecar == {"SliceThickness": 3.0}


def test_a_sidecar_may_begin_with_a_byte_order_mark(scan):
    scan.with_name("a.json").write_bytes(b"\xef\xbb\xbf" + b'{"SliceThickness": 5}')
    assert read_scan(scan).sidecar == {"SliceThickness": 5}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"{", "not readable JSON", id="broken"),
        pytest.param(b"\xff\xfe", "not readable JSON", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "not readable JSON", id="nested"),
        pytest.param(b"[1, 2]", "is no JSON object", id="list"),
    ],
)
def test_a_sidecar_that_cannot_be_used_is_refused(scan, content, sentence):
    scan.with_name("a.json").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_scan(scan)


def test_a_sidecar_that_is_mended_is_warned_of(scan):
    scan.with_name("a.json").write_bytes(
        '{"SliceThickness": 3, "Place": "Köln",}'.encode("latin-1")
    )
    read = read_scan(scan)
    assert read.sidecar["SliceThickness"] == 3
    assert [warning.split()[0] for warning in read.warnings] == ["a.json", "a.json"]


def test_a_sidecar_that_is_a_link_without_a_file_is_warned_of(scan):
    scan.with_name("a.json").symlink_to(".git/annex/objects/gone")
    (warning,) = read_scan(scan).warnings
    assert "a.json is a link to a file that is not here" in warning
    assert "datalad get" in warning


# inheritance


@pytest.fixture
def dataset(tmp_path):
    """The root of a dataset with one subject and one session."""
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    (tmp_path / "sub-01" / "ses-1" / "anat").mkdir(parents=True)
    return tmp_path


NAME = "sub-01_ses-1_acq-thick_T1w.nii.gz"
PLACES = {
    "T1w.json": True,
    "acq-thick_T1w.json": True,
    "ses-1_T1w.json": True,
    "acq-thin_T1w.json": False,
    "T2w.json": False,
    "run-1_T1w.json": False,
    "sub-02_T1w.json": False,
    "sub-01/sub-01_T1w.json": True,
    "sub-01/sub-01_ses-2_T1w.json": False,
    "sub-01/ses-1/sub-01_ses-1_T1w.json": True,
    "sub-01/ses-1/anat/T1w.json": True,
    "sub-01/ses-1/anat/sub-01_ses-1_acq-thick_T1w.json": True,
    "sub-01/ses-1/anat/sub-01_ses-1_acq-thick_desc-sr_T1w.json": False,
    "sub-01/ses-2/anat/T1w.json": False,
    "../T1w.json": False,
    "xT1w.json": False,
    "notes_T1w.json": False,
}


@pytest.mark.parametrize(("place", "holds"), PLACES.items())
def test_a_sidecar_holds_for_what_has_its_entities_and_lies_below_it(dataset, place, holds):
    root = dataset / "dataset"
    root.mkdir()
    for part in ("dataset_description.json", "sub-01"):
        (dataset / part).rename(root / part)
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text('{"SliceThickness": 4}')
    scan = root / "sub-01/ses-1/anat" / NAME
    expected = {"SliceThickness": 4} if holds else {}
    assert read_sidecar(scan).content == expected


def test_the_nearer_sidecar_wins_and_the_others_are_kept(dataset):
    anat = dataset / "sub-01/ses-1/anat"
    told = {
        dataset / "T1w.json": {"a": 1, "b": 1, "c": 1, "d": 1},
        dataset / "acq-thick_T1w.json": {"b": 2, "c": 2, "d": 2},
        dataset / "sub-01/sub-01_T1w.json": {"c": 3, "d": 3},
        anat / "sub-01_ses-1_acq-thick_T1w.json": {"d": 4},
    }
    for file, content in reversed(told.items()):
        file.write_text(json.dumps(content))
    found = read_sidecar(anat / NAME)
    assert found.content == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert found.files == tuple(told)
    assert found.warnings == ()


def test_a_sidecar_is_found_from_any_working_directory(dataset, monkeypatch):
    (dataset / "T1w.json").write_text('{"SliceThickness": 4}')
    anat = dataset / "sub-01/ses-1/anat"
    monkeypatch.chdir(anat)
    for path in (anat / NAME, anat / ".." / "anat" / NAME):
        assert read_sidecar(path).content == {"SliceThickness": 4}
    assert read_sidecar(Path(NAME)).content == {"SliceThickness": 4}


def test_without_a_description_the_folder_above_the_subject_is_the_root(dataset):
    (dataset / "dataset_description.json").unlink()
    (dataset / "T1w.json").write_text('{"SliceThickness": 4}')
    assert read_sidecar(dataset / "sub-01/ses-1/anat" / NAME).content == {"SliceThickness": 4}


def test_a_derivative_inherits_nothing_from_the_dataset_that_holds_it(dataset):
    (dataset / "T1w.json").write_text('{"SliceThickness": 4}')
    scan = dataset / "derivatives/other/sub-01/anat/sub-01_T1w.nii.gz"
    scan.parent.mkdir(parents=True)
    assert sidecars_of(scan) == ()
    (dataset / "derivatives/other/T1w.json").write_text('{"SliceThickness": 5}')
    assert read_sidecar(scan).content == {"SliceThickness": 5}


def test_another_name_than_that_of_bids_has_the_sidecar_of_its_own_name_only(dataset):
    (dataset / "T1w.json").write_text('{"SliceThickness": 4}')
    (dataset / "sub-01/ses-1/anat/T1w.json").write_text('{"SliceThickness": 4}')
    for name in ("T1w_3.nii.gz", "head.nii.gz", "sub-01_ses-1_thick_T1w.nii.gz", "acq-a_T1w.nii"):
        assert read_sidecar(dataset / "sub-01/ses-1/anat" / name).content == {}
    (dataset / "sub-01/ses-1/anat/head.json").write_text('{"SliceThickness": 5}')
    own = read_sidecar(dataset / "sub-01/ses-1/anat/head.nii.gz")
    assert own.content == {"SliceThickness": 5}


def test_sidecars_of_one_level_that_contradict_each_other_are_warned_of(dataset):
    (dataset / "acq-thick_T1w.json").write_text('{"SliceThickness": 4, "Other": 1}')
    (dataset / "ses-1_T1w.json").write_text('{"SliceThickness": 5, "Other": 2}')
    found = read_sidecar(dataset / "sub-01/ses-1/anat" / NAME)
    assert found.content["SliceThickness"] == 5
    (warning,) = found.warnings
    assert "../../../acq-thick_T1w.json and ../../../ses-1_T1w.json both hold" in warning
    assert "different things of SliceThickness:" in warning


def test_a_broken_sidecar_above_the_scan_is_named_by_its_way(dataset):
    (dataset / "T1w.json").write_text("{")
    with pytest.raises(InputError, match=r"^../../../T1w.json is not readable JSON"):
        read_sidecar(dataset / "sub-01/ses-1/anat" / NAME)


def test_a_link_to_a_scan_has_the_sidecars_beside_the_link_or_those_of_the_scan(dataset, tmp_path):
    scan = dataset / "sub-01/ses-1/anat" / NAME
    scan.write_bytes(b"voxels")
    (dataset / "T1w.json").write_text('{"SliceThickness": 4}')
    link = tmp_path / "links" / "mine.nii.gz"
    link.parent.mkdir()
    link.symlink_to(scan)
    assert read_sidecar(link).content == {"SliceThickness": 4}
    link.with_name("mine.json").write_text('{"SliceThickness": 5}')
    assert read_sidecar(link).content == {"SliceThickness": 5}
