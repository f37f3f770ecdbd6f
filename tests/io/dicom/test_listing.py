import zipfile
from pathlib import Path

import pytest

from inversesr.io.dicom.files import files_below
from inversesr.io.dicom.listing import series_below
from inversesr.io.dicom.taking import taken_in
from tests.support.dicom import affine_of, slices, stack, write

SHAPE = (40, 36, 5)


def scan(n, affine=None, **facts):
    """Return the files of a series of a number of its own."""
    affine = affine_of() if affine is None else affine
    return slices(stack(SHAPE, n), affine, series=str(n), number=n, **facts)


def listed(folder, wanted=None):
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    found = series_below(folder, files, wanted)
    return {str(one.path.relative_to(folder)): one for one in found}


def test_scans_of_every_folder_are_listed_and_can_be_taken(tmp_path):
    write(tmp_path / "a" / "x", scan(4, study="a"))
    write(tmp_path / "a" / "y", scan(5, study="a"))
    write(tmp_path / "b", scan(4, study="b"))
    found = listed(tmp_path)
    assert list(found) == ["a/x/::4", "a/y/::5", "b/::4"]
    for one in found.values():
        with taken_in([one.path]) as (taken,):
            assert taken.shown == one.shown
    assert found["a/y/::5"].shown == tmp_path.resolve() / "a" / "y_series-5.nii"


def test_files_of_all_patients_in_one_folder_are_told_apart(tmp_path):
    for study in "ab":
        for n, one in enumerate(scan(4, study=study)):
            one.save_as(tmp_path / f"{study}{n}", enforce_file_format=True)
    found = listed(tmp_path)
    assert len(found) == 2
    assert len({one.shown for one in found.values()}) == 2
    for one in found.values():
        with taken_in([one.path]) as (taken,):
            assert taken.facts["dicom"]["instances"] == 5


def test_a_series_over_several_folders_is_one_scan(tmp_path):
    made = scan(4)
    write(tmp_path / "s" / "1", made[:3])
    write(tmp_path / "s" / "2", made[3:])
    assert list(listed(tmp_path)) == ["s/::4"]


def test_what_is_no_thick_scan_is_left_out_wherever_it_lies(tmp_path):
    write(tmp_path / "scout", scan(1, description="localizer"))
    write(tmp_path / "t2", scan(4))
    write(tmp_path / "t1", scan(5, affine_of(spacing=(1, 1, 1))))
    assert list(listed(tmp_path)) == ["t2/::4"]
    assert list(listed(tmp_path, "localizer")) == ["scout/::1"]


def test_a_scan_at_fault_is_listed(tmp_path):
    write(tmp_path / "t2", [*scan(4)[:2], *scan(4)[3:]])
    write(tmp_path / "flair", scan(5))
    assert list(listed(tmp_path)) == ["flair/::5", "t2/::4"]


def test_a_study_without_a_scan_is_one_row(tmp_path):
    write(tmp_path / "a", scan(1, description="localizer", study="a"))
    write(tmp_path / "b", scan(4, study="b"))
    assert list(listed(tmp_path)) == ["a/::1", "b/::4"]


def test_scans_in_archives_are_listed(tmp_path):
    folder = write(tmp_path / "out" / "of the way", scan(4))
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "a.zip", "w") as archive:
        for file in files_below(folder):
            archive.write(file, file.name)
    found = listed(tmp_path / "in")
    assert list(found) == ["a.zip/::4"]
    with taken_in([found["a.zip/::4"].path]) as (taken,):
        assert taken.shown == (tmp_path / "in").resolve() / "a_series-4.nii"


@pytest.mark.parametrize("name", ["{}::5", "{}/::5"])
def test_both_ways_to_name_a_series_are_the_same(tmp_path, name):
    write(tmp_path / "a", [*scan(4), *scan(5)])
    with taken_in([Path(name.format(tmp_path / "a"))]) as (taken,):
        assert taken.series.key == "5"
