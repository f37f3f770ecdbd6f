import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.dicom.privacy import short_hash
from inversesr.io.dicom.taking import beside, facts_of, taken_in
from inversesr.io.nifti import read_scan
from tests.support.dicom import affine_of, enhanced, header, slices, stack, write

SHAPE = (40, 36, 5)


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "scans", slices(stack(SHAPE), affine_of()))


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where this test's temporary files go."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_an_image_file_is_taken_as_it_is(tmp_path):
    with taken_in([tmp_path / "a.nii.gz"]) as (one,):
        assert (one.path, one.shown) == (tmp_path / "a.nii.gz",) * 2
        assert one.facts is None
        assert beside(one, None) is None


def test_a_series_becomes_an_image_that_is_gone_afterwards(folder, temporary):
    with taken_in([folder]) as (one,):
        scan = read_scan(one.path)
        assert one.path.is_relative_to(temporary)
        assert one.path.parent.parent.stat().st_mode & 0o077 == 0
    assert scan.name == "scans_series-4"
    assert one.shown == folder.resolve().parent / "scans_series-4.nii"
    assert beside(one, None) == folder.resolve().parent
    assert (scan.sidecar["SliceThickness"], scan.sidecar["SpacingBetweenSlices"]) == (4.0, 5.0)
    np.testing.assert_allclose(scan.volume.grid.spacing_mm, (0.9, 0.8, 5.0), atol=1e-4)
    assert not list(temporary.iterdir())


def test_nothing_is_left_behind_by_a_failure(folder, temporary):
    with pytest.raises(RuntimeError), taken_in([folder]):
        raise RuntimeError
    assert not list(temporary.iterdir())


def test_folder_file_archive_and_enhanced_object_are_the_same_image(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    write(tmp_path / "one", [enhanced(stack(SHAPE), affine_of())])
    places = [folder, folder / "IM0001.dcm", tmp_path / "a.zip", tmp_path / "one"]
    scans = []
    for place in places:
        with taken_in([place]) as (one,):
            scans.append(read_scan(one.path))
    for scan in scans[1:]:
        np.testing.assert_array_equal(scan.volume.data, scans[0].volume.data)
        assert scan.volume.grid.same_as(scans[0].volume.grid)
        assert scan.sidecar["SliceThickness"] == 4.0


def test_series_of_one_folder_are_named_by_a_mark(folder):
    write(folder / "deep", slices(stack(SHAPE, 1), affine_of(), series="2", number=5))
    with taken_in([Path(f"{folder}::5"), Path(f"{folder}::4")]) as (one, other):
        assert (one.shown.name, other.shown.name) == ("scans_series-5.nii", "scans_series-4.nii")
        assert read_scan(one.path).volume.data.sum() != read_scan(other.path).volume.data.sum()
    with taken_in([folder], "5") as (one,):
        assert one.facts == facts_of(Path(f"{folder}::5"))


def test_the_same_series_twice_and_two_persons_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="named twice"), taken_in([folder, folder / "IM0000.dcm"]):
        pass
    made = slices(stack(SHAPE), affine_of(), study="2")
    for one in made:
        one.PatientID = "another"
    other = write(tmp_path / "other", made)
    with pytest.raises(InputError, match="different patients"), taken_in([folder, other]):
        pass


def test_a_wish_for_a_series_of_an_image_file_is_refused(tmp_path):
    with (
        pytest.raises(InputError, match="chooses among DICOM"),
        taken_in([tmp_path / "a.nii"], "4"),
    ):
        pass


def test_a_folder_named_by_its_patient_names_no_result(tmp_path):
    folder = write(tmp_path / "ROENTGEN_W", slices(stack(SHAPE), affine_of()))
    with taken_in([folder]) as (one,):
        assert one.shown.name == f"dicom-{short_hash(header().StudyInstanceUID)}_series-4.nii"
        told = str((one.facts, one.notes))
    assert "ROENTGEN" not in told


def test_the_folder_of_the_shell_is_named_like_any_other(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with taken_in([Path()]) as (one,):
        assert one.shown == folder.resolve().parent / "scans_series-4.nii"


def test_a_derived_image_is_told(tmp_path):
    made = slices(stack(SHAPE), affine_of())
    for one in made:
        one.ImageType = ["DERIVED", "SECONDARY", "MPR"]
    with taken_in([write(tmp_path / "a", made)], "4") as (one,):
        assert one.notes == ("a_series-4 is a reformat, no scan as it was taken",)
        assert "reformat" in one.with_notes(read_scan(one.path)).warnings[-1]


DATA = os.environ.get("INVERSESR_TEST_DATA")


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="set INVERSESR_TEST_DATA to the folder of real scans")
@pytest.mark.parametrize(
    ("name", "shape", "spacing", "thickness"),
    [
        ("siemens_t1_fl2d_sag_4mm_HFS", (256, 256, 35), (1.0156, 1.0156, 4.8), 4.0),
        ("siemens_t1_fl2d_sag_4mm_HFP", (256, 256, 35), (1.0156, 1.0156, 4.8), 4.0),
        ("ge_signa_clinical_pd_5mm", (256, 256, 20), (0.8594, 0.8594, 7.0005), 5.0),
        ("d2n_philips_enh_anat", (256, 256, 8), (1.0, 1.0, 1.2), 1.2),
        ("d2n_j2k", (256, 256, 4), (1.0, 1.0, 1.0), None),
        ("siemens_xa30_enh_t1w_2mm", (128, 128, 96), (2.0, 2.0, 2.0), 2.0),
    ],
)
def test_real_series_are_where_their_positions_say(name, shape, spacing, thickness):
    with taken_in([Path(DATA) / "dicom" / name]) as (one,):
        scan = read_scan(one.path)
        layout = one.series.layout
    assert scan.volume.grid.shape == shape
    np.testing.assert_allclose(scan.volume.grid.spacing_mm, spacing, atol=1e-3)
    assert scan.sidecar.get("SliceThickness") == thickness
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    ends = [a[:3, :3] @ corners + a[:3, 3:] for a in (scan.volume.grid.affine, layout.affine)]
    apart = np.linalg.norm(ends[0][:, :, None] - ends[1][:, None, :], axis=0).min(axis=1)
    assert apart.max() < 0.01


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="set INVERSESR_TEST_DATA to the folder of real scans")
@pytest.mark.parametrize(
    ("name", "told"), [("d2n_FAIL_slicecount", "2 slices"), ("d2n_single_slice", "one slice")]
)
def test_real_series_that_cannot_be_used_are_refused_in_a_sentence(name, told):
    with pytest.raises(InputError, match=told), taken_in([Path(DATA) / "dicom" / name]):
        pass


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="set INVERSESR_TEST_DATA to the folder of real scans")
@pytest.mark.parametrize("name", ["siemens_trio_mosaic_ax", "uih_dti_tra_dir16_PA"])
def test_volumes_of_real_mosaics_are_read(name):
    with taken_in([Path(DATA) / "dicom" / name]) as (one,):
        assert min(read_scan(one.path, 1).volume.grid.shape) >= 20
        with pytest.raises(InputError, match=r"(4D|diffusion) series"):
            read_scan(one.path)


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="set INVERSESR_TEST_DATA to the folder of real scans")
def test_the_weighting_of_a_real_diffusion_series_lies_beside_its_image():
    with taken_in([Path(DATA) / "dicom" / "uih_dti_tra_dir16_PA"]) as (one,):
        bvals, bvecs = (np.loadtxt(one.path.with_suffix(f".{e}")) for e in ("bval", "bvec"))
    assert bvals.shape == (17,)
    assert bvals[0] < 50 < bvals[1:].min()
    np.testing.assert_allclose(np.linalg.norm(bvecs[:, 1:], axis=0), 1.0, atol=0.01)
