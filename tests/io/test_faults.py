import errno
import gzip
import logging
import os

import pytest

from inversesr.errors import InputError, MachineError
from inversesr.io.faults import quietly, refuse, refuse_machine

NUMBERS = ("EIO", "ESTALE", "EACCES", "EMFILE", "ENFILE", "ETIMEDOUT", "ENXIO", "EREMOTEIO")


def of_system(name):
    number = getattr(errno, name)
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("name", NUMBERS)
def test_what_the_system_answers_is_told(name):
    with pytest.raises(MachineError, match=os.strerror(getattr(errno, name))):
        refuse("a.nii", of_system(name), "is damaged")


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_what_the_system_answered_is_told_under_the_errors_of_libraries(link):
    error = gzip.BadGzipFile("cannot be read")
    setattr(error, link, of_system("EIO"))
    with pytest.raises(MachineError, match="Input/output error"):
        refuse("a.nii", error, "is damaged")


@pytest.mark.parametrize(
    "error", [gzip.BadGzipFile("CRC check failed"), EOFError(), ValueError("cannot reshape")]
)
def test_what_is_wrong_with_the_file_is_told_as_such(error):
    refuse_machine("a.nii", error)
    with pytest.raises(InputError, match=r"a\.nii is damaged"):
        refuse("a.nii", error, "is damaged")


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")])
def test_an_empty_memory_is_left_to_be_told_where_the_run_ends(error):
    with pytest.raises(type(error)):
        refuse("a.nii", error, "is damaged")


def test_a_file_that_belongs_to_it_and_is_missing_is_named():
    with pytest.raises(InputError, match=r"needs a\.raw, which does not exist"):
        refuse("a.mhd", FileNotFoundError(errno.ENOENT, "No such file", "a.raw"), "is damaged")


def test_quiet_ends_where_it_should(caplog):
    logger = logging.getLogger("nibabel.global")
    with quietly():
        logger.error("not told")
    logger.error("told")
    assert [record.message for record in caplog.records] == ["told"]
