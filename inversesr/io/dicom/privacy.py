"""Keeps what identifies a patient out of names, messages and records."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from inversesr.io.dicom.elements import text, texts

IDENTIFYING = (
    "PatientName", "PatientID", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName",
    "PatientMotherBirthName", "PatientBirthDate", "AccessionNumber", "StudyID",
    "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName",
    "NameOfPhysiciansReadingStudy", "PatientAddress", "PatientTelephoneNumbers",
)  # fmt: skip
COMMON = ("anonymous", "anonymized", "anon", "none", "unknown", "patient", "test")
SHORTEST_WORD = 2
HIDDEN = "***"
HASH_LETTERS = 8


def identity_of(dataset: Any) -> frozenset[str]:  # noqa: ANN401 (pydicom's data sets are dynamic)
    """Return the words of a header that identify a person or a study, in small letters."""
    found = " ".join(word for keyword in IDENTIFYING for word in texts(dataset, keyword))
    words = {word for word in _words(found) if len(word) >= SHORTEST_WORD}
    date = text(dataset, "StudyDate")
    # anonymised dates and numbers leave nothing to hide, nor do short counts
    return frozenset(word for word in {*words, date.lower()} if word and not _is_common(word))


def person_of(dataset: Any) -> str:  # noqa: ANN401
    """Return a short hash of what identifies the patient of a header; empty where nothing does."""
    told = text(dataset, "PatientID")
    return short_hash(told) if told else ""


def _is_common(word: str) -> bool:
    """Whether a word tells nobody, as what anonymisation leaves behind."""
    return (
        word in COMMON or not any(c.isalnum() for c in word) or (word.isdigit() and len(word) < 4)
    )


def without_identity(told: str, identity: Iterable[str]) -> str:
    """Return text with the words that identify a patient replaced.

    Args:
        told: Text of a header, such as a series description.
        identity: Words in small letters; see `identity_of`.
    """
    hidden = set(identity)

    def mask(match: re.Match[str]) -> str:
        return HIDDEN if match[0].lower() in hidden else match[0]

    return re.sub(r"\w+", mask, re.sub(r"[\x00-\x1f\x7f]", " ", told))


def name_without_identity(path: PurePath, identity: Iterable[str], uid: str) -> str:
    """Return a name for results: that of a folder or archive, unless a patient is told by it.

    Args:
        path: What was given.
        identity: Words that identify the patient, in small letters.
        uid: Of the study, by which the name is made where that of the folder cannot be used.
    """
    name = path.name[: -len(path.suffix)] if path.suffix.lower() in (".zip", ".dcm") else path.name
    words = set(_words(name))
    if (
        not name
        or words & set(identity)
        or any(len(w) > 3 and w in name.lower() for w in identity)
    ):
        return f"dicom-{short_hash(uid)}"
    return name


def short_hash(uid: str) -> str:
    """Return eight letters by which a UID is told without being shown."""
    return hashlib.sha256(uid.encode()).hexdigest()[:HASH_LETTERS]


def _words(told: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[^\W_]+", told)]
