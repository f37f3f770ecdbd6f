import errno
import gzip
import os

import pytest

from inversesr.errors import (
    FAULTS_OF_ARGUMENTS,
    OUT_OF_MEMORY,
    OUT_OF_THREADS,
    AccessError,
    InputError,
    MachineError,
    OldNameWarning,
    is_out_of_memory,
    machine_fault,
    warn_of_old_name,
)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("unable to mmap 8 bytes: Cannot allocate memory (12)"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_too_little_memory_is_known_by_whatever_is_raised_for_it(error):
    assert is_out_of_memory(error)
    assert machine_fault(error) == OUT_OF_MEMORY


def test_too_many_threads_are_a_fault_of_the_machine():
    assert machine_fault(RuntimeError("can't start new thread")) == OUT_OF_THREADS


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_what_the_system_reports_is_told_with_the_file(number):
    words = os.strerror(number)
    assert machine_fault(OSError(number, words, "scan.nii.gz")) == f"{words}: scan.nii.gz"
    assert machine_fault(OSError(number, words)) == words


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(number, os.strerror(number)) for number in FAULTS_OF_ARGUMENTS),
        gzip.BadGzipFile("Not a gzipped file"),
        ValueError("out of memory"),
        RuntimeError("shapes differ"),
        KeyError("start new thread"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
def test_what_a_file_or_a_bug_causes_is_no_fault_of_the_machine(error):
    assert not is_out_of_memory(error)
    assert machine_fault(error) == ""


def test_a_file_that_may_not_be_used_is_unusable_input_and_a_fault_of_the_machine_is_not():
    assert issubclass(AccessError, InputError)
    assert not issubclass(MachineError, InputError)


def test_a_warning_of_an_old_name_points_to_who_used_it():
    def function_with_an_old_option():
        warn_of_old_name("the option old", "new")

    with pytest.warns(OldNameWarning, match="the option old is now new") as seen:
        function_with_an_old_option()
    assert seen[0].filename == __file__
    first = test_a_warning_of_an_old_name_points_to_who_used_it.__code__.co_firstlineno
    assert seen[0].lineno == first + 5
