from dataclasses import asdict, replace
from pathlib import Path

import pytest

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.dicom.taking import Taken
from inversesr.workflows.derived_series import (
    check_dicom,
    decisive_facts,
    dicom_folders,
    remove_dicom,
)


def record(choices=None, **changes):
    return {
        "GeneratedBy": [{"Name": "inversesr", "Version": "1.0"}],
        "config": asdict(choices or Config()),
        "inputs": [{"name": "a", "sha256": "f00"}],
        "masks": {},
        "prior_card": None,
    } | changes


def test_the_folders_of_series_are_named_by_the_image():
    folders = dicom_folders(Path("/out/a.nii.gz"))
    assert folders == {
        "image": Path("/out/a_dicom"),
        "sd": Path("/out/a_dicom-sd"),
    }


@pytest.mark.parametrize(
    "config",
    [Config(threads=3), Config(device="cpu"), Config(series="4"), Config(dicom=True)],
    ids=["threads", "device", "series", "dicom"],
)
def test_what_changes_no_voxel_changes_no_uid(config):
    assert decisive_facts(record(config)) == decisive_facts(record())


def test_names_of_files_change_no_uid():
    other = record(replace(Config(), protect="/elsewhere/mask.nii"))
    other["inputs"] = [{"name": "b", "sha256": "f00"}]
    assert decisive_facts(other) == decisive_facts(record())


@pytest.mark.parametrize(
    "change",
    [
        {"config": asdict(Config(seed=1))},
        {"config": asdict(Config(spacing_mm=2.0))},
        {"inputs": [{"name": "a", "sha256": "bad"}]},
        {"masks": {"protect": {"name": "m", "sha256": "1"}}},
        {"prior_card": {"name": "x", "version": "2", "sha256": "0"}},
    ],
    ids=["seed", "spacing", "input", "mask", "prior"],
)
def test_what_may_change_a_voxel_changes_the_uids(change):
    assert decisive_facts(record(**change)) != decisive_facts(record())


def test_an_image_file_has_no_study_to_write_into():
    taken = Taken(Path("a.nii.gz"), Path("a.nii.gz"))
    with pytest.raises(InputError, match=r"a\.nii\.gz is an image file"):
        check_dicom([taken], Path("a_desc-sr.nii.gz"), force=False)


def test_series_of_an_earlier_result_are_removed_and_present_ones_stay(tmp_path):
    image = tmp_path / "a.nii.gz"
    for folder in dicom_folders(image).values():
        folder.mkdir()
    remove_dicom(image, {"dicom_series": {"image": {}}})
    assert [path.name for path in tmp_path.iterdir()] == ["a_dicom"]
    remove_dicom(image, {})
    assert not list(tmp_path.iterdir())
