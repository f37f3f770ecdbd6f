"""Instances on the disk: written so that what is confirmed is there, whatever happens.

A file is written under a temporary name, brought to the disk, renamed, and noted in the database;
only then is it confirmed. Whatever fails before that leaves the sender in charge of it.
"""

import hashlib
import os
import shutil
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from inversesr.io.dicom.elements import UNREADABLE, number, text
from inversesr.io.dicom.header import read_dataset, tolerant
from inversesr.io.dicom.privacy import person_of, short_hash
from inversesr.node.arrivals import Arrival, Known, add, forget, known
from inversesr.node.database import Database
from inversesr.node.folder import INCOMING, INSTANCES, RESULTS, sync_folder

KEY_LETTERS = 12
# pydicom's settings are those of the process: one thread at a time reads a header
READING = threading.Lock()
PREAMBLE_BYTES = 132


@dataclass(frozen=True)
class Stored:
    """What became of an instance.

    Attributes:
        known: What the queue knew of it; only what is new was stored.
        series: Key of its series.
    """

    known: Known
    series: str


class UnreadableError(Exception):
    """A data set that is none, or lacks what identifies it."""


class MismatchError(Exception):
    """A data set that is another one than was announced."""


def store(folder: Path, database: Database, content: bytes, announced: str) -> Stored:
    """Store an instance, unless it is there.

    Args:
        folder: Folder of the queue.
        database: Its database.
        content: The instance as a DICOM file.
        announced: SOP Instance UID by which it was announced.

    Raises:
        UnreadableError: it is no instance of a series.
        MismatchError: it has another UID than announced.
        OSError: the disk is full, or cannot be written to.
        sqlite3.Error: the same.
    """
    partial = folder / INCOMING / uuid4().hex
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        arrival = read_arrival(partial)
        if arrival.uid != announced:
            raise MismatchError
        return _place(folder, database, partial, arrival)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _place(folder: Path, database: Database, partial: Path, arrival: Arrival) -> Stored:
    """Move a file to its series and note it; what removes files waits in the meantime."""
    target = place_of(folder, arrival.series, arrival.uid)
    with database.lock:
        found = known(database, arrival)
        if found is not Known.NEW:
            return Stored(found, arrival.series)
        if not target.parent.is_dir():
            target.parent.mkdir(mode=0o700)
            sync_folder(target.parent.parent)
        partial.replace(target)
        try:
            sync_folder(target.parent)
            add(database, arrival)
        except (OSError, sqlite3.Error):
            target.unlink()
            raise
    return Stored(found, arrival.series)


def place_of(folder: Path, series: str, uid: str) -> Path:
    """Return where the file of an instance is; no name of it tells anything."""
    name = hashlib.sha256(uid.encode()).hexdigest()[:32]
    return folder / INSTANCES / series / f"{name}.dcm"


def read_arrival(file: Path) -> Arrival:
    """Return what decides to which series a file belongs.

    Raises:
        UnreadableError: it is no instance of a series.
        OSError: it cannot be read.
    """
    try:
        with READING, tolerant():
            dataset, _ = read_dataset(file)
            told = [
                text(dataset, keyword)
                for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
            ]
            person = person_of(dataset)
            counts = [
                _count(dataset, keyword)
                for keyword in ("NumberOfSeriesRelatedInstances", "ImagesInAcquisition")
            ]
            syntax = text(dataset.file_meta, "TransferSyntaxUID")
    except UNREADABLE as error:
        raise UnreadableError from error
    if not all(told):
        raise UnreadableError
    study, series, uid = told
    return Arrival(key_of(study, series, person), uid, _digest(file), syntax, *counts)


def _count(dataset: object, keyword: str) -> int:
    found = number(dataset, keyword)
    return int(found) if found is not None and found > 0 else 0


def _digest(file: Path) -> str:
    """Return a digest of the data set in a file, without the group that tells of the file."""
    content = file.read_bytes()
    # the length of that group stands in its first element, (0002,0000) UL
    start = PREAMBLE_BYTES + 12 + int.from_bytes(content[PREAMBLE_BYTES + 8 :][:4], "little")
    return hashlib.sha256(content[start:]).hexdigest()


def key_of(study: str, series: str, person: str) -> str:
    """Return the key of a series, by which logs and folders name it.

    Series of different patients are different ones, whatever their UIDs.
    """
    return hashlib.sha256(f"{study} {series} {person}".encode()).hexdigest()[:KEY_LETTERS]


def adopt(folder: Path, database: Database) -> int:
    """Take instances into the database that are on the disk only; return their number.

    That is what a node leaves that was killed in the middle, and all where the database was lost.
    What is half-received is removed: nobody was told that it is stored.
    """
    for left in (folder / INCOMING).iterdir():
        left.unlink()
    noted = {
        place_of(folder, row["series"], row["uid"])
        for row in database.rows("SELECT series, uid FROM instance")
    }
    n = 0
    for file in sorted((folder / INSTANCES).glob("*/*.dcm")):
        if file in noted:
            continue
        with suppress(UnreadableError):
            arrival = read_arrival(file)
            if known(database, arrival) is Known.NEW:
                add(database, arrival)
                n += 1
    return n


def remove(folder: Path, database: Database, series: str) -> bool:
    """Remove the files of a series whose result is stored; False where it is no such series."""
    rows = database.rows("SELECT uid FROM instance WHERE series = ?", (series,))
    with database.lock:
        if not forget(database, series):
            return False
        for row in rows:
            place_of(folder, series, row["uid"]).unlink(missing_ok=True)
        with suppress(OSError):
            (folder / INSTANCES / series).rmdir()
    for result in (folder / RESULTS).glob(f"{series}-*"):
        shutil.rmtree(result, ignore_errors=True)
    return True


def told(uid: str) -> str:
    """Return what logs call an instance."""
    return short_hash(uid)
