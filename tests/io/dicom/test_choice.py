import pytest

from inversesr.errors import InputError
from inversesr.io.dicom.choice import SeveralSeriesError, choose, scans_among, table
from inversesr.io.dicom.files import read_place
from inversesr.io.dicom.series import group
from tests.support.dicom import affine_of, header, slices, stack, write

THIN = affine_of(spacing=(1.0, 1.0, 1.0))


def made(number, description="T2 TSE axial", affine=None, n=6, **changes):
    affine = affine_of() if affine is None else affine
    files = slices(
        stack((12, 10, n)), affine, series=str(number), number=number, description=description
    )
    for one in files:
        for keyword, value in changes.items():
            setattr(one, keyword, value)
    return files


def study(folder, *parts):
    for n, part in enumerate(parts):
        write(folder / str(n), part)
    return group(read_place(folder, folder))


SCOUT = made(1, "localizer")
T2, FLAIR = made(4), made(5, "FLAIR axial")


def test_the_only_thick_scan_is_taken(tmp_path):
    phase = made(6, "phase", ImageType=["ORIGINAL", "PRIMARY", "P"])
    reformat = made(7, "T1 MPR", ImageType=["DERIVED", "SECONDARY", "MPR"])
    thin = made(8, "MPRAGE", THIN)
    assert choose(study(tmp_path, SCOUT, T2, phase, reformat, thin), None, "x").key == "4"


def test_several_are_listed_with_the_way_to_choose(tmp_path):
    with pytest.raises(SeveralSeriesError) as failure:
        choose(study(tmp_path, SCOUT, T2, FLAIR), None, "study")
    sentence, *lines = str(failure.value).splitlines()
    assert sentence == (
        "study holds 2 series that can be restored: choose one, for example by --series 4 or "
        "--series 5 (number, UID, or a part of the description)"
    )
    assert [line.split()[0] for line in lines] == ["number", "4", "5", "1"]
    told = "4 T2 TSE axial axial 12 x 10 x 6 0.9 x 0.8 x 5 13:45"
    assert " ".join(lines[1].split()) == told
    assert lines[3].endswith("a scout")


@pytest.mark.parametrize(
    "wanted", ["5", header(series="5").SeriesInstanceUID, "flair", "FLAIR ax", " 5 "]
)
def test_a_series_is_named_by_number_uid_or_description(tmp_path, wanted):
    assert choose(study(tmp_path, T2, FLAIR), wanted, "x").key == "5"


def test_what_would_be_left_out_is_taken_when_it_is_named(tmp_path):
    assert choose(study(tmp_path, SCOUT, T2), "1", "x").key == "1"


def test_a_name_that_fits_several_lists_them(tmp_path):
    with pytest.raises(SeveralSeriesError, match="2 series"):
        choose(study(tmp_path, T2, FLAIR), "axial", "x")


@pytest.mark.parametrize("wanted", ["9", "t1", ""])
def test_a_name_that_fits_none_lists_all(tmp_path, wanted):
    with pytest.raises(InputError, match="holds no series") as failure:
        choose(study(tmp_path, T2, FLAIR), wanted, "x")
    assert "FLAIR axial" in str(failure.value)


def test_a_series_at_fault_is_refused_when_it_is_named(tmp_path):
    with pytest.raises(InputError, match=r"^x: series 4 \(T2 TSE axial\) lacks 3 slices"):
        choose(study(tmp_path, [*T2[:2], T2[-1]], FLAIR), "4", "x")


def test_one_series_at_fault_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(InputError) as failure:
        choose(study(tmp_path, T2[:2]), None, "x")
    assert str(failure.value) == (
        "x: series 4 (T2 TSE axial) has 2 slices; expected at least 3: send the whole series"
    )


def test_a_lone_scout_is_refused_with_the_way_to_take_it(tmp_path):
    with pytest.raises(
        InputError, match="is a scout: to restore it all the same, give --series 1"
    ):
        choose(study(tmp_path, SCOUT), None, "x")


def test_a_lone_derived_image_is_taken(tmp_path):
    derived = made(4, ImageType=["DERIVED", "SECONDARY"])
    assert choose(study(tmp_path, derived, SCOUT), None, "x").key == "4"


def test_nothing_usable_is_told_with_every_reason(tmp_path):
    with pytest.raises(InputError, match="no series that can be restored") as failure:
        choose(study(tmp_path, SCOUT, T2[:2]), None, "x")
    assert "series 1 (localizer) is a scout; series 4 (T2 TSE axial) has 2 slices" in str(
        failure.value
    )


def test_a_batch_takes_every_scan_and_those_at_fault(tmp_path):
    other = made(6, "phase", ImageType=["ORIGINAL", "PRIMARY", "P"])
    found = study(tmp_path, SCOUT, T2, [*FLAIR[:2], *FLAIR[3:]], other, made(8, "MPRAGE", THIN))
    assert [one.key for one in scans_among(found)] == ["4", "5"]


def test_a_table_does_not_tell_the_patient(tmp_path):
    lines = table(study(tmp_path, made(4, "T2 ROENTGEN")))
    assert "oentgen" not in lines.lower()
