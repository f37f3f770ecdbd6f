import errno
from pathlib import Path

import pytest

from inversesr.errors import InputError
from inversesr.io import atomic
from inversesr.io.atomic import check_folder_name, check_picture, is_image_name, only_one


@pytest.mark.parametrize("name", ["a.nii.gz", "b/a.nii", "A.NII.GZ"])
def test_a_name_of_nifti_is_that_of_an_image(name):
    assert is_image_name(Path(name))
    with pytest.raises(InputError, match="expected a folder"):
        check_folder_name(Path(name))


@pytest.mark.parametrize("name", ["out", "out.d", "a.nii.gz.d", "results 2024.05", "."])
def test_other_names_are_those_of_folders(name):
    assert not is_image_name(Path(name))
    check_folder_name(Path(name))


def test_a_folder_that_is_there_is_one_whatever_its_name(tmp_path):
    (tmp_path / "a.nii.gz").mkdir()
    check_folder_name(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("name", ["a.mgz", "a.nrrd", "a.hdr", "a.dcm", "a.nii.bz2"])
def test_formats_that_are_not_written_are_refused(name):
    with pytest.raises(InputError, match=r"end it in \.nii\.gz or \.nii"):
        is_image_name(Path(name))


def test_a_second_process_is_refused_while_the_first_goes_on(tmp_path):
    with (
        only_one(tmp_path, "another batch"),
        pytest.raises(InputError, match="another batch writes into"),
        only_one(tmp_path, "another batch"),
    ):
        pass
    with only_one(tmp_path, "another batch"):
        pass


def test_on_a_disk_without_locks_nothing_is_refused(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(atomic.fcntl, "flock", refuse)
    with only_one(tmp_path, "another batch"), only_one(tmp_path, "another batch"):
        pass


@pytest.mark.parametrize("name", ["picture.txt", "none/picture.png", "picture"])
def test_a_picture_is_a_png_in_a_folder_that_is_there(tmp_path, name):
    (tmp_path / "old.PNG").write_text("")
    check_picture(tmp_path / "old.PNG")
    with pytest.raises(InputError, match=r"ending in \.png in an existing folder"):
        check_picture(tmp_path / name)
