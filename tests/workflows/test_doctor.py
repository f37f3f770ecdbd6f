from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import pytest

from inversesr.workflows.doctor import COMFORTABLE_MEMORY_BYTES, Check, examine, verdict


def check(name):
    (found,) = [c for c in examine() if c.name == name]
    return found


def test_every_check_says_what_was_found_and_what_mends_it():
    for found in examine():
        assert found.found
        assert found.is_fine or found.advice


def test_installed_versions_are_those_of_the_installation():
    for name in ("torch", "numpy", "nibabel", "inversesr"):
        assert check(name).found == version(name)


def test_a_missing_package_is_a_fault_with_advice(monkeypatch):
    def missing(name):
        if name == "monai":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("inversesr.workflows.doctor.version", missing)
    found = check("monai")
    assert not found.is_fine
    assert "pip install" in found.advice


def test_a_missing_extra_is_no_fault_but_has_advice(monkeypatch):
    monkeypatch.setattr(
        "inversesr.workflows.doctor.find_spec", lambda n: None if n == "nbclient" else find_spec(n)
    )
    found = check("extra [notebooks]")
    assert found.is_fine
    assert "nbclient" in found.found
    assert "inversesr[notebooks]" in found.advice


@pytest.mark.parametrize(("free", "is_fine"), [(COMFORTABLE_MEMORY_BYTES, True), (2**30, False)])
def test_little_memory_is_a_fault(monkeypatch, free, is_fine):
    monkeypatch.setattr("inversesr.workflows.doctor.available_memory_bytes", lambda: free)
    assert check("free memory").is_fine is is_fine


def test_a_temporary_folder_that_cannot_be_used_is_a_fault(monkeypatch):
    def refuse():
        raise OSError

    monkeypatch.setattr("inversesr.workflows.doctor.tempfile.TemporaryFile", refuse)
    found = check("temporary folder")
    assert not found.is_fine
    assert "TMPDIR" in found.advice


def test_without_a_prior_it_says_what_works_all_the_same(monkeypatch):
    monkeypatch.setattr("inversesr.workflows.doctor.list_priors", list)
    found = check("priors")
    assert found.is_fine
    assert "tv" in found.found
    assert found.advice == "inversesr prior list"


def test_the_verdict_names_every_problem():
    fine, broken = Check("python", "3"), Check("memory", "none", is_fine=False, advice="buy")
    assert "No problems found" in verdict([fine])
    assert "memory" in verdict([fine, broken])
    assert "python" not in verdict([fine, broken])
