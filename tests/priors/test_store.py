from pathlib import Path

import pytest

from inversesr.errors import InputError
from inversesr.priors.store import (
    CARD_NAME,
    SHIPPED_PRIORS,
    check_file,
    digest,
    find_prior,
    folder_of,
    home,
    prior_folders,
)


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_home_folder_follows_the_environment(own_home, monkeypatch):
    assert home() == own_home
    monkeypatch.delenv("INVERSESR_HOME")
    assert home().name == "inversesr"


def test_a_prior_is_found_by_name_and_by_folder(own_home):
    folder = own_home / "priors" / "mine"
    folder.mkdir(parents=True)
    (folder / "prior.json").write_text("{}")
    assert find_prior("mine") == folder
    assert find_prior(folder) == folder
    assert prior_folders()["mine"] == folder


def test_a_prior_that_is_not_there_is_answered_with_the_command_that_brings_it():
    with pytest.raises(InputError, match="`inversesr prior fetch brain-ldm`"):
        find_prior("brain-ldm")


def test_a_folder_without_a_card_is_answered_with_the_import_command(tmp_path):
    with pytest.raises(InputError, match="`inversesr prior import "):
        find_prior(tmp_path)


def test_a_file_that_differs_is_refused_with_the_command_that_brings_the_right_one(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    size, sha256 = 3, digest(path)
    check_file(path, size, sha256, "x")
    with pytest.raises(
        InputError, match=r"has 3 bytes; expected 4: run `inversesr prior fetch x`"
    ):
        check_file(path, 4, sha256, "inversesr prior fetch x")
    path.write_bytes(b"abd")
    with pytest.raises(InputError, match="SHA-256"):
        check_file(path, size, sha256, "x")
    path.unlink()
    with pytest.raises(InputError, match="is missing"):
        check_file(path, size, sha256, "x")


def test_a_name_goes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "builtin").mkdir()
    (tmp_path / "builtin" / CARD_NAME).write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert find_prior("builtin").parent == SHIPPED_PRIORS
    assert find_prior("./builtin") == Path("builtin")


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "a b"])
def test_a_prior_is_never_installed_outside_its_folder(name):
    with pytest.raises(InputError, match="expected letters, digits"):
        folder_of(name)
