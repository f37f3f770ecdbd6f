"""Folders of priors: where they lie, and whether their files are intact."""

import hashlib
import json
import os
import re
from pathlib import Path

from platformdirs import user_cache_path

from inversesr.errors import InputError

HOME_VARIABLE = "INVERSESR_HOME"
CARD_NAME = "prior.json"
SHIPPED_PRIORS = Path(__file__).parent / "shipped"
# can be downloaded; `priors.catalogue` knows from where
PUBLIC_PRIORS = ("brain-ldm",)
_FOLDER_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_HASH_BLOCK_BYTES = 1 << 22


def home() -> Path:
    """Return the folder for downloaded and imported priors; it need not exist.

    It is $INVERSESR_HOME, else `inversesr` in the platform's cache folder.
    """
    chosen = os.environ.get(HOME_VARIABLE)
    return Path(chosen).expanduser() if chosen else user_cache_path("inversesr", appauthor=False)


def folder_of(name: str) -> Path:
    """Return the folder in which a prior of the user is installed; it need not exist.

    Raises:
        InputError: the name cannot be that of a folder.
    """
    if not re.fullmatch(_FOLDER_NAME, name):
        message = (
            f"the name of a prior is {name!r}; expected letters, digits, dots, hyphens and "
            "underscores: give another --name"
        )
        raise InputError(message)
    return home() / "priors" / name


def prior_folders() -> dict[str, Path]:
    """Return the installed priors by name: those of the user before those of the package."""
    found: dict[str, Path] = {}
    for parent in (home() / "priors", SHIPPED_PRIORS):
        cards = sorted(parent.glob(f"*/{CARD_NAME}")) if parent.is_dir() else []
        for card in cards:
            found.setdefault(card.parent.name, card.parent)
    return found


def find_prior(name_or_folder: str | Path) -> Path:
    """Return the folder of a prior given by name or by folder.

    A name goes before a folder of that name: `./NAME` is the folder.

    Raises:
        InputError: there is no such prior; the sentence says what to do.
    """
    installed = prior_folders()
    if str(name_or_folder) in installed:
        return installed[str(name_or_folder)]
    folder = Path(name_or_folder).expanduser()
    if (folder / CARD_NAME).is_file():
        return folder
    if folder.is_dir():
        message = (
            f"{folder} has no {CARD_NAME}; expected the folder of a prior: "
            f"convert it first with `inversesr prior import {folder}`"
        )
        raise InputError(message)
    known = ", ".join(sorted(installed)) or "none"
    message = (
        f"prior {str(name_or_folder)!r} is not installed (installed: {known}); "
        f"run `inversesr prior fetch {name_or_folder}`, or `inversesr prior import DIR` "
        "with a folder of downloaded weights"
    )
    raise InputError(message)


def remedy(folder: Path) -> str:
    """Return the command that brings the files of a prior again."""
    if folder.is_relative_to(SHIPPED_PRIORS):
        return "pip install --force-reinstall inversesr"
    if folder.name in PUBLIC_PRIORS:
        return f"inversesr prior fetch {folder.name}"
    return "inversesr prior import DIR --force"


def read_json(path: Path) -> object:
    """Return the value of a JSON file.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"{path} is missing; expected a JSON file"
        raise InputError(message) from error
    except ValueError as error:
        message = f"{path} is not JSON ({error}); write it again"
        raise InputError(message) from error
    return value


def write_text(path: Path, text: str) -> None:
    """Write a text under a temporary name, then rename it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the hash of a file in hexadecimal."""
    state = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK_BYTES):
            state.update(block)
    return state.hexdigest()


def check_file(path: Path, size: int, sha256: str, remedy: str) -> None:
    """Check that a file is there and is the one that was meant.

    Args:
        path: The file.
        size: Expected size in bytes.
        sha256: Expected SHA-256 in hexadecimal.
        remedy: Command that brings the right file.

    Raises:
        InputError: the file is missing or differs.
    """
    if not path.is_file():
        message = f"{path} is missing; expected a file of {size} bytes: run `{remedy}`"
        raise InputError(message)
    found = path.stat().st_size
    if found != size:
        message = f"{path} has {found} bytes; expected {size}: run `{remedy}`"
        raise InputError(message)
    actual = digest(path)
    if actual != sha256:
        message = f"{path} has SHA-256 {actual}; expected {sha256}: run `{remedy}`"
        raise InputError(message)
