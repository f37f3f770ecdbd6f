import shutil
import subprocess

import nibabel
import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from inversesr.errors import InputError, MachineError
from inversesr.io.dicom import convert as module
from inversesr.io.dicom.convert import convert
from inversesr.io.dicom.files import read_place
from inversesr.io.dicom.series import group
from tests.support.dicom import affine_of, enhanced, implicit, slices, stack, worlds, write

SHAPE = (40, 36, 5)
AFFINE = affine_of(turn=(0.2, -0.3, 0.1))


class Truth:
    def __init__(self, data, affine):
        self.dataobj, self.affine, self.shape = data, affine, data.shape


def converted(folder, made, **how):
    """Write and convert a series."""
    source, scratch = folder / "source", folder / "scratch"
    scratch.mkdir(parents=True)
    (series,) = group(read_place(write(source, made, **how), scratch))
    assert not series.fault
    return nibabel.load(convert(series, scratch).path)


def assert_same_places(image, data, affine):
    """Compare every voxel at its place in the world."""
    expected, found = worlds(Truth(data, affine)), worlds(image)
    near = np.array(list(found))
    for place, value in list(expected.items())[::7]:
        k = np.abs(near - place).max(axis=1).argmin()
        assert np.abs(near[k] - place).max() <= 1
        assert found[tuple(near[k])] == value


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.2, -0.3, 0.1), (0, 1.4, 0.1), (1.5, 0.1, 0)])
def test_every_voxel_is_where_its_slice_says(tmp_path, turn):
    data, affine = stack(SHAPE), affine_of(turn=turn)
    assert_same_places(converted(tmp_path, slices(data, affine)), data, affine)


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "HFDR"])
def test_how_the_patient_lay_changes_nothing(tmp_path, position):
    made = slices(stack(SHAPE), AFFINE)
    for one in made:
        one.PatientPosition = position
    assert_same_places(converted(tmp_path, made), stack(SHAPE), AFFINE)


@pytest.mark.parametrize("compress", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_compressed_voxels_are_the_same(tmp_path, compress):
    made = slices(stack(SHAPE), AFFINE)
    image = converted(tmp_path, made, compress=compress)
    assert_same_places(image, stack(SHAPE), AFFINE)


@pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="needs dcmcjpeg (dcmtk)")
def test_voxels_of_lossless_jpeg_are_the_same(tmp_path):
    source = write(tmp_path / "plain", slices(stack(SHAPE), AFFINE))
    (tmp_path / "source").mkdir()
    for file in source.iterdir():
        target = tmp_path / "source" / file.name
        subprocess.run(["dcmcjpeg", "+e1", str(file), str(target)], check=True)
    (tmp_path / "scratch").mkdir()
    (series,) = group(read_place(tmp_path / "source", tmp_path))
    assert_same_places(
        nibabel.load(convert(series, tmp_path / "scratch").path), stack(SHAPE), AFFINE
    )


def test_an_enhanced_object_and_one_without_types_are_the_same(tmp_path):
    made = [enhanced(stack(SHAPE), AFFINE)]
    assert_same_places(converted(tmp_path / "a", made), stack(SHAPE), AFFINE)
    made = implicit(slices(stack(SHAPE), AFFINE))
    assert_same_places(converted(tmp_path / "b", made), stack(SHAPE), AFFINE)


def test_a_file_without_preamble_is_the_same(tmp_path):
    made = slices(stack(SHAPE), AFFINE)
    image = converted(tmp_path, made, preamble=False)
    assert_same_places(image, stack(SHAPE), AFFINE)


def test_slope_and_intercept_are_kept(tmp_path):
    made = slices(stack(SHAPE), AFFINE)
    for one in made:
        one.RescaleSlope, one.RescaleIntercept = 2.5, -10.0
    assert_same_places(converted(tmp_path, made), stack(SHAPE) * 2.5 - 10.0, AFFINE)


def test_rounded_positions_are_followed_to_the_last_slice(tmp_path):
    affine = affine_of(spacing=(0.9, 0.9, 7.0), turn=(-0.1345, 0, 0), origin=(-110.5, 78.3, -72.8))
    made = slices(stack((40, 36, 20)), affine)
    for one in made:
        one.ImagePositionPatient = [round(float(v), 1) for v in one.ImagePositionPatient]
    found = converted(tmp_path, made)
    last = [0, 0, 19, 1]
    own = np.array(made[19].ImagePositionPatient, dtype=float) * [-1, -1, 1]
    corners = [found.affine @ [0, j, k, 1] for j in (0, 35) for k in (0, 19)]
    assert min(np.linalg.norm(corner[:3] - own) for corner in corners) < 0.15
    assert np.linalg.norm((affine @ last)[:3] - own) < 0.1


def test_a_converter_that_gives_nothing_crashes_or_hangs_is_told(tmp_path, monkeypatch):
    made = slices(stack(SHAPE), AFFINE)
    for name, script, told in (
        ("nothing", "exit 0", "converted to no image"),
        ("crash", "kill -SEGV $$", "crash"),
        ("hang", "exec sleep 5", "not converted after"),
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(module, "find_converter", lambda program=program: str(program))
        monkeypatch.setattr(module, "LONGEST_SECONDS", 1.0)
        with pytest.raises(InputError, match=told):
            converted(tmp_path / f"{name}-files", made)


def test_a_missing_converter_is_a_fault_of_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_converter", lambda: None)
    with pytest.raises(MachineError, match="pip install dcm2niix"):
        converted(tmp_path, slices(stack(SHAPE), AFFINE))


def test_what_a_damaged_header_makes_no_json_is_left_out(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"SeriesDescription": "T2\x00\x1f", "EchoTime": }')
    assert module._facts(tmp_path / "a.json") == {}
    assert module._facts(tmp_path / "none.json") == {}
    (tmp_path / "a.json").write_bytes(b'{"EchoTime": 0.1}')
    assert module._facts(tmp_path / "a.json") == {"EchoTime": 0.1}
