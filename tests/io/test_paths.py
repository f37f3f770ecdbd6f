import errno
import os
from pathlib import Path

import pytest

from inversesr.errors import AccessError, InputError, MachineError
from inversesr.io import paths as module
from inversesr.io.checks import SUFFIXES
from inversesr.io.paths import check_path, from_home, name_fault, parts_of


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_with_the_name_of_an_image_passes(tmp_path, suffix):
    for part in parts_of(tmp_path / f"a{suffix}"):
        part.write_bytes(b"x")
    check_path(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(
    ("name", "converter"),
    [
        ("a.mnc", "mnc2nii a.mnc"),
        ("a+orig.BRIK", "3dAFNItoNIFTI"),
        ("a.mif", "mrconvert a.mif"),
        ("a.PAR", "parrec2nii a.PAR"),
        ("a.dcm", "dcm2niix"),
        ("a.nii.bz2", "bunzip2 a.nii.bz2"),
        ("a.nii.xz", "unxz a.nii.xz"),
        ("a.nii.zst", "unzstd a.nii.zst"),
        ("a.zip", "unzip a.zip"),
        ("a.tar.gz", "tar xf a.tar.gz"),
        ("a.gipl.gz", "ITK-SNAP"),
        ("a.npy", "no place in the world"),
        ("a.nii.gz.part", "start it again"),
        ("a.unknown", "dcm2niix"),
    ],
)
def test_another_format_is_refused_with_what_converts_it(tmp_path, name, converter):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=converter):
        check_path(tmp_path / name)


@pytest.mark.parametrize(
    ("given", "there"), [("a.nii", "a.nii.gz"), ("a.nii.gz", "a.nii"), ("a.hdr", "a.hdr.gz")]
)
def test_a_name_that_is_nearly_there_is_proposed(tmp_path, given, there):
    (tmp_path / there).write_bytes(b"x")
    with pytest.raises(InputError, match=f"{given} does not exist, {there} does"):
        check_path(tmp_path / given)


@pytest.mark.parametrize(
    "address", ["https://x.org/a.nii.gz", "s3://bucket/a.nii.gz", "file:///a.nii"]
)
def test_an_address_is_to_be_downloaded_first(address):
    with pytest.raises(InputError, match="is an address"):
        check_path(Path(address))


@pytest.mark.parametrize("place", ["name", "folder"])
def test_a_name_that_is_too_long_is_told_before_any_work(tmp_path, place):
    long = "n" * 300
    path = tmp_path / f"{long}.nii" if place == "name" else tmp_path / long / "a.nii"
    with pytest.raises(InputError, match=r"expected 255|longer than this disk allows") as told:
        check_path(path)
    assert len(str(told.value)) < 400


def test_a_link_that_leads_back_to_itself_is_told(tmp_path):
    (tmp_path / "a.nii").symlink_to(tmp_path / "a.nii")
    with pytest.raises(InputError, match="leads back to itself"):
        check_path(tmp_path / "a.nii")


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    with pytest.raises(InputError, match="is a pipe or a device"):
        check_path(tmp_path / "a.nii")


def test_a_file_in_a_file_is_not_there(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(InputError, match="does not exist"):
        check_path(tmp_path / "a" / "b.nii")


def test_a_file_that_this_user_may_not_read_is_told_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "a.nii").write_bytes(b"x")
    monkeypatch.setattr(module.os, "access", lambda _path, mode: mode != os.R_OK)
    with pytest.raises(AccessError, match="no permission to read"):
        check_path(tmp_path / "a.nii")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("EACCES", AccessError),
        ("EPERM", AccessError),
        ("ENAMETOOLONG", InputError),
        ("ELOOP", InputError),
        ("EIO", MachineError),
        ("ESTALE", MachineError),
        ("EHOSTDOWN", MachineError),
    ],
)
def test_what_the_system_says_of_a_name_is_of_the_user_or_of_the_machine(code, kind):
    number = getattr(errno, code)
    found = name_fault(OSError(number, os.strerror(number)), Path("/a/b.nii"))
    assert type(found) is kind
    assert "/a/b.nii" in str(found)


def test_the_home_folder_is_found_where_no_shell_did(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert from_home(Path("~/a.nii")) == tmp_path / "a.nii"
    assert from_home(Path("a~b.nii")) == Path("a~b.nii")
    with pytest.raises(InputError, match="no such home folder"):
        from_home(Path("~nobody-of-this-name/a.nii"))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.nii", ("a.nii",)),
        ("a.hdr", ("a.hdr", "a.img")),
        ("a.img", ("a.hdr", "a.img")),
        ("A.IMG", ("A.HDR", "A.IMG")),
        ("a.img.gz", ("a.hdr.gz", "a.img.gz")),
    ],
)
def test_an_image_is_one_file_or_a_pair(tmp_path, name, parts):
    assert parts_of(tmp_path / name) == tuple(tmp_path / part for part in parts)
