from pathlib import Path

import pytest

from inversesr.io.dicom.privacy import (
    HIDDEN,
    identity_of,
    name_without_identity,
    person_of,
    short_hash,
    without_identity,
)
from tests.support.dicom import header

IDENTITY = identity_of(header())


@pytest.mark.parametrize("word", ["roentgen", "wilhelmine", "4711", "19230327", "acc99213", "who"])
def test_words_of_a_header_that_tell_a_patient_are_known(word):
    assert word in IDENTITY


def test_what_anonymisation_leaves_behind_tells_nobody():
    ds = header()
    ds.PatientName, ds.PatientID = "Anonymous^Patient", "***"
    assert not {"anonymous", "patient", "***"} & identity_of(ds)


def test_words_of_a_patient_are_hidden_and_others_kept():
    told = without_identity("T2 tse ROENTGEN\nwilhelmine x3", IDENTITY)
    assert told == f"T2 tse {HIDDEN} {HIDDEN} x3"


@pytest.mark.parametrize(
    "name", ["ROENTGEN_T2", "x-wilhelmine", "PID-4711-x", "study19230327", "RoentgenW.zip"]
)
def test_a_folder_named_by_its_patient_names_no_result(name):
    assert name_without_identity(Path(name), IDENTITY, "1.2.3") == f"dicom-{short_hash('1.2.3')}"


def test_other_folders_name_their_results():
    assert name_without_identity(Path("/a/study 7.zip"), IDENTITY, "1") == "study 7"
    assert name_without_identity(Path("/a/v1.5"), IDENTITY, "1") == "v1.5"


def test_persons_are_told_apart_without_being_named():
    one, other = header(), header()
    other.PatientID = "another"
    assert person_of(one) != person_of(other)
    assert "4711" not in person_of(one)
    assert person_of({}) == ""
