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
