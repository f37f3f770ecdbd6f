import shutil
import subprocess

import nibabel
import numpy as np
import pydicom
import pytest

from inversesr.errors import InputError
from inversesr.io.dicom.attributes import Told
from inversesr.io.dicom.convert import find_converter
from inversesr.io.dicom.files import read_place
from inversesr.io.dicom.series import group
from inversesr.io.dicom.write import check_source, write_series
from inversesr.volume import Grid, Volume
from tests.support.dicom import affine_of, enhanced, slices, stack, write

TOLD = Told(9004, "thin 1 mm T2 NOT FOR DIAGNOSIS", "made so", "solver=unet", "1.2.3")
SHAPE = (24, 20, 6)
# What a source may lack although the standard wants it.
BARE = (
    "StudyDate", "StudyTime", "PatientBirthDate", "PatientSex", "EchoTime", "ScanningSequence",
    "SequenceVariant", "RepetitionTime", "FrameOfReferenceUID", "PatientPosition",
    "MRAcquisitionType",
)  # fmt: skip


def source(folder, files):
    (series,) = group(read_place(write(folder, files), folder))
    return series


def fine(affine, n_slices=25, seed=3):
    """Return a result: the axes and the centre of the scan, thinner slices."""
    data = np.random.default_rng(seed).normal(300, 200, (*SHAPE[:2], n_slices))
    grid = Grid(SHAPE, affine).respaced(data.shape, (0.9, 0.8, 1.2))
    return Volume(data.astype(np.float32), grid)


def written(folder, files, volume, facts=("facts",)):
    folder.mkdir(exist_ok=True)
    out = folder / "out"
    out.mkdir()
    assert write_series(out, volume, [source(folder / "in", files)], TOLD, list(facts)) == 25
    return out


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.2, -0.3, 0.1), (0, 1.4, 0.1), (1.5, 0.1, 0)])
def test_another_program_reads_the_same_voxels_at_the_same_places(tmp_path, turn):
    affine = affine_of(turn=turn)
    volume = fine(affine)
    out = written(tmp_path, slices(stack(SHAPE), affine), volume)
    (tmp_path / "back").mkdir()
    subprocess.run(
        [find_converter(), "-x", "i", "-f", "a", "-o", str(tmp_path / "back"), str(out)],
        check=True, capture_output=True,
    )  # fmt: skip
    back = nibabel.load(tmp_path / "back" / "a.nii")
    index = np.stack(np.meshgrid(*map(np.arange, back.shape), indexing="ij"), -1).reshape(-1, 3)
    world = index @ back.affine[:3, :3].T + back.affine[:3, 3]
    inverse = np.linalg.inv(volume.grid.affine)
    own = world @ inverse[:3, :3].T + inverse[:3, 3]
    nearest = np.round(own).astype(int)
    assert np.abs((own - nearest) * volume.grid.spacing_mm).max() < 0.01
    step = np.ptp(volume.data) / 65534
    found = np.asarray(back.dataobj, dtype=np.float64).reshape(-1)
    assert np.abs(found - volume.data[tuple(nearest.T)]).max() < 0.51 * step


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools)")
@pytest.mark.parametrize("kind", ["classic", "enhanced", "bare"])
def test_the_standard_is_kept(tmp_path, kind):
    files = slices(stack(SHAPE), affine_of())
    if kind == "enhanced":
        files = [enhanced(stack(SHAPE), affine_of())]
    if kind == "bare":
        for one in files:
            for keyword in BARE:
                delattr(one, keyword)
    out = written(tmp_path, files, fine(affine_of()))
    for file in sorted(out.iterdir())[::12]:
        told = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
        assert "Error" not in told.stderr + told.stdout


def test_the_frame_of_reference_is_kept_and_slices_follow_the_source(tmp_path):
    files = slices(stack(SHAPE), affine_of())
    out = written(tmp_path, files, fine(affine_of()))
    made = [pydicom.dcmread(file) for file in sorted(out.iterdir())]
    assert {one.FrameOfReferenceUID for one in made} == {files[0].FrameOfReferenceUID}
    assert {one.StudyInstanceUID for one in made} == {files[0].StudyInstanceUID}
    assert {one.SeriesInstanceUID for one in made}.isdisjoint({files[0].SeriesInstanceUID})
    heights = [float(one.ImagePositionPatient[2]) for one in made]
    np.testing.assert_allclose(np.diff(heights), 1.2, atol=1e-5)
    assert [one.InstanceNumber for one in made] == list(range(1, 26))
    np.testing.assert_allclose(made[0].ImageOrientationPatient, files[0].ImageOrientationPatient)


def test_the_same_facts_give_the_same_bytes_and_others_another_series(tmp_path):
    files = slices(stack(SHAPE), affine_of())
    volume = fine(affine_of())
    one = written(tmp_path / "1", files, volume)
    same = written(tmp_path / "2", files, volume)
    other = written(tmp_path / "3", files, volume, ("others",))
    for file in one.iterdir():
        assert file.read_bytes() == (same / file.name).read_bytes()
    headers = [[pydicom.dcmread(f) for f in out.iterdir()] for out in (one, other)]
    uids = [{header.SOPInstanceUID for header in made} for made in headers]
    assert len(uids[0]) == 25
    assert uids[0].isdisjoint(uids[1])
    series = [{header.SeriesInstanceUID for header in made} for made in headers]
    assert [len(uids) for uids in series] == [1, 1]
    assert series[0] != series[1]


def test_a_mosaic_and_a_series_without_study_are_no_source(tmp_path):
    files = slices(stack(SHAPE), affine_of())
    check_source(source(tmp_path / "a", files))
    for one in files:
        one.StudyInstanceUID = ""
    with pytest.raises(InputError, match="no Study Instance UID"):
        check_source(source(tmp_path / "b", files))
    mosaic = slices(stack(SHAPE), affine_of())
    for one in mosaic:
        one.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    with pytest.raises(InputError, match="is a mosaic"):
        check_source(source(tmp_path / "c", mosaic))
