import gzip

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.nifti import read_scan


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgz", "a.nrrd"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (bytes(5000), "zeros only"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n", "git lfs pull"),
        (b"/annex/objects/MD5E-s123--abc.nii.gz\n", "git annex get"),
        (b"<!DOCTYPE html>\n<html><body>Log in</body></html>", "web page"),
        (b"\xef\xbb\xbf \n<HTML>", "web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "web page"),
    ],
)
def test_what_stands_for_an_image_is_told_with_what_fetches_it(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_scan(tmp_path / name)


def test_a_link_of_git_annex_without_content_says_what_fetches_it(tmp_path):
    link = tmp_path / "a.nii.gz"
    link.symlink_to("../.git/annex/objects/x/y/MD5E-s1--1.nii.gz/MD5E-s1--1.nii.gz")
    with pytest.raises(InputError, match="datalad get"):
        read_scan(link)


def test_any_other_link_that_leads_nowhere_says_where_it_leads(tmp_path):
    (tmp_path / "a.nii").symlink_to(tmp_path / "gone.nii")
    with pytest.raises(InputError, match=r"link to .*gone\.nii, which does not exist"):
        read_scan(tmp_path / "a.nii")


TAR = bytes(257) + b"ustar" + bytes(300)
DICOM = bytes(128) + b"DICM" + bytes(300)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgh"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04" + bytes(99), "zip archive"),
        (b"BZh9" + bytes(99), "bunzip2"),
        (b"\xfd7zXZ\x00" + bytes(99), "unxz"),
        (b"\x28\xb5\x2f\xfd" + bytes(99), "unzstd"),
        (b"x" + TAR[1:], "tar xf"),
        (b"x" + DICOM[1:], "dcm2niix"),
        (b"NRRD0004\ntype: short\n", "rename it to end in .nrrd"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "mnc2nii"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "is a picture"),
        (b'{"message": "Not Found"}', "plain text"),
        (b"404: Not Found", "plain text"),
        (b"Sorry, the content was moved.\n" * 50, "plain text"),
    ],
)
def test_other_things_under_the_name_of_an_image_are_told(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_scan(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"\x5c\x01\x00\x00" + bytes(999), mtime=0), "is compressed twice"),
        (b"<html>log in</html>", "what is in it is a web page"),
        (b"x" + TAR[1:], "what is in it is a tar archive"),
        (b"x" + DICOM[1:], "what is in it is a DICOM file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "what is in it is a Git LFS pointer"),
    ],
)
def test_what_is_compressed_under_the_name_of_an_image_is_told(tmp_path, content, words):
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match=words):
        read_scan(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("part", ["a.hdr", "a.img"])
def test_half_of_a_pair_that_was_not_fetched_is_told(tmp_path, part):
    nibabel.save(nibabel.Nifti1Pair(np.ones((4, 4, 4)), np.eye(4)), tmp_path / "a.img")
    (tmp_path / part).write_bytes(b"/annex/objects/MD5E-s123--abc.img\n")
    with pytest.raises(InputError, match=f"{part} is a git-annex pointer"):
        read_scan(tmp_path / "a.hdr")


def test_voxels_of_a_pair_may_begin_with_anything(tmp_path):
    data = np.zeros((9, 9, 9), np.uint8)
    data.T.flat[: len(b"PK\x03\x04")] = np.frombuffer(b"PK\x03\x04", np.uint8)
    nibabel.save(nibabel.Nifti1Pair(data, np.diag([1.0, 1.0, 5.0, 1.0])), tmp_path / "a.img")
    np.testing.assert_array_equal(read_scan(tmp_path / "a.img").volume.data, data)


@pytest.mark.parametrize("version", [nibabel.Nifti1Image, nibabel.Nifti2Image, nibabel.MGHImage])
@pytest.mark.parametrize("order", "<>")
def test_no_header_of_an_image_is_taken_for_something_else(tmp_path, version, order):
    is_mgh = version is nibabel.MGHImage
    image = version(np.arange(64, dtype=np.float32).reshape(4, 4, 4), np.diag([1, 1, 5, 1.0]))
    if order == "<" and not is_mgh:
        image = version(image.dataobj, image.affine, image.header.as_byteswapped(">"))
    name = "a.mgz" if is_mgh else "a.nii.gz"
    nibabel.save(image, tmp_path / name)
    np.testing.assert_array_equal(read_scan(tmp_path / name).volume.data, image.get_fdata())
