import json

from inversesr.io.dicom.facts import input_facts, sidecar_of
from inversesr.io.dicom.files import read_place
from inversesr.io.dicom.privacy import identity_of
from inversesr.io.dicom.series import group
from tests.support.dicom import affine_of, header, slices, stack, write

# What a converter says of a series, with what it should have left out.
TOLD = {
    "EchoTime": 0.098, "MagneticFieldStrength": 1.5, "SliceThickness": 9.0,
    "SpacingBetweenSlices": 1.0, "StudyDescription": "Brain of Roentgen",
    "InstitutionName": "Physics Institute", "PatientName": "Roentgen",
    "AcquisitionDateTime": "2024-02-29T13:45:01", "DeviceSerialNumber": "67060",
}  # fmt: skip


def series(folder, made=None):
    made = slices(stack(), affine_of()) if made is None else made
    (one,) = group(read_place(write(folder, made), folder))
    return one


def test_lengths_are_those_of_tag_and_positions(tmp_path):
    kept = sidecar_of(series(tmp_path), TOLD)
    assert (kept["SliceThickness"], kept["SpacingBetweenSlices"]) == (4.0, 5.0)
    assert (kept["EchoTime"], kept["MagneticFieldStrength"]) == (0.098, 1.5)


def test_nothing_kept_tells_the_patient(tmp_path):
    one = series(tmp_path)
    kept = json.dumps([sidecar_of(one, TOLD), input_facts(one, "scan")]).lower()
    for word in (*identity_of(header()), "institute", "2024-02", "67060", one.first.series_uid):
        assert word.lower() not in kept


def test_a_series_is_known_again_whatever_its_files_are_called(tmp_path):
    made = slices(stack(), affine_of())
    facts = input_facts(series(tmp_path / "a", made), "x")
    assert facts == input_facts(series(tmp_path / "b", made[::-1]), "x")
    other = input_facts(series(tmp_path / "c", slices(stack(seed=1), affine_of())), "x")
    assert facts["sha256"] != other["sha256"]
    assert (facts["dicom"]["instances"], facts["name"]) == (6, "x")
