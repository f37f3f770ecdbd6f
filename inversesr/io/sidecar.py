"""The JSON files that say how a scan was taken: BIDS sidecars beside the image and above it.

A scan inherits what files of fewer entities say: `T1w.json` and `acq-thick_T1w.json` at the root
of a dataset hold for `sub-01/anat/sub-01_acq-thick_T1w.nii.gz`. They are read from the root down
to the scan, and the nearer one wins.

Reference: Brain Imaging Data Structure 1.10, "The Inheritance Principle".
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inversesr.errors import InputError
from inversesr.io.checks import stem
from inversesr.io.json_text import parse_json
from inversesr.io.names import entities_of

DESCRIPTION_NAME = "dataset_description.json"
# Folders of a dataset that are datasets of their own; those of derivatives, each.
OWN_DATASETS = ("sourcedata", "rawdata")
# What decides on the result.
LENGTHS = ("SliceThickness", "SpacingBetweenSlices")
DERIVATIVES = "derivatives"


@dataclass(frozen=True)
class Sidecar:
    """What is known of a scan beside its voxels.

    Attributes:
        content: Keys and values, merged.
        files: Where they were read, from the root of the dataset down to the scan.
        warnings: What is odd about these files, in sentences.
    """

    content: dict[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def read_sidecar(path: Path) -> Sidecar:
    """Read all sidecars that hold for an image; see `sidecars_of`.

    Args:
        path: Image file.

    Raises:
        InputError: one of them is not readable JSON, or no object.
    """
    content: dict[str, Any] = {}
    warnings: list[str] = []
    files = sidecars_of(path)
    read = [_read(file, path) for file in files]
    for (values, remarks), file in zip(read, files, strict=True):
        warnings += [f"{name_of_sidecar(file, path)} {remark}" for remark in remarks]
        content |= values
    warnings += _contradictions(path, files, [values for values, _ in read])
    warnings += [
        f"{name_of_sidecar(file, path)} is a link to a file that is not here: what it says of "
        "the scan is not known: fetch it, for example with `datalad get`"
        for file in _applicable(path)
        if file.is_symlink() and not file.exists()
    ]
    return Sidecar(content, files, tuple(warnings))


def sidecars_of(path: Path) -> tuple[Path, ...]:
    """Return the sidecars that hold for an image, the most specific one last.

    These are the files of the same suffix whose entities all occur in the image's name, in its
    folder and above up to the root of the dataset. An image whose name is not that of BIDS has
    the JSON file of its own name only. Where nothing lies beside a link to an image, what lies
    beside the image itself counts.

    Args:
        path: Image file.
    """
    found = tuple(file for file in _applicable(path) if file.is_file())
    if found or not path.is_symlink():
        return found
    return tuple(file for file in _applicable(path.resolve()) if file.is_file())


def name_of_sidecar(file: Path, scan: Path) -> str:
    """Return the name of a sidecar as seen from the folder of its scan."""
    return os.path.relpath(file, _folder_of(scan))


def _applicable(path: Path) -> Iterator[Path]:
    """Give the sidecars that hold for an image by their names, links without a file included."""
    name, folder = stem(path), _folder_of(path)
    own, entities = folder / f"{name}.json", entities_of(name)
    if entities is None or "sub" not in entities:
        yield from [own] if own.is_file() or own.is_symlink() else []
        return
    for level in _levels(folder, entities["sub"]):
        yield from sorted(
            (
                file
                for file in level.glob(f"*{entities['suffix']}.json")
                if _entities_within(file.stem, entities)
            ),
            key=lambda file: (file.stem.count("_"), file.name),
        )


def _entities_within(name: str, entities: dict[str, str]) -> bool:
    """Whether a name has some of these entities, its suffix among them, and no others."""
    found = entities_of(name)
    return found is not None and found.items() <= entities.items()


def _levels(folder: Path, subject: str) -> Sequence[Path]:
    """Return the folders from the root of a dataset down to one of its folders.

    The root has a dataset_description.json, or the folder of the subject in it.
    """
    above = [folder, *folder.parents]
    for n, level in enumerate(above):
        is_root = (
            (level / DESCRIPTION_NAME).is_file()
            or level.name in OWN_DATASETS
            or level.parent.name == DERIVATIVES
        )
        if is_root:
            return above[n::-1]
    for n, level in enumerate(above):
        if level.name == f"sub-{subject}":
            return above[n + 1 :: -1]
    return [folder]


def _folder_of(path: Path) -> Path:
    return path.parent.resolve()


def _read(file: Path, scan: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    name = name_of_sidecar(file, scan)
    try:
        content, remarks = parse_json(file.read_bytes())
    except (ValueError, RecursionError) as error:
        message = f"{name} is not readable JSON: mend it, or move it away"
        raise InputError(message) from error
    if not isinstance(content, dict):
        message = f"{name} is no JSON object: expected one in curly braces"
        raise InputError(message)
    return content, remarks


def _contradictions(
    scan: Path, files: Sequence[Path], read: Sequence[dict[str, Any]]
) -> Iterator[str]:
    """Tell of files of which neither is nearer to the scan and that say different things."""
    for n, (file, values) in enumerate(zip(files, read, strict=True)):
        for former, others in zip(files[:n], read[:n], strict=True):
            is_level = file.parent == former.parent
            if not is_level or file.stem.count("_") != former.stem.count("_"):
                continue
            keys = [
                key
                for key in LENGTHS
                if key in values and key in others and values[key] != others[key]
            ]
            if keys:
                first, second = name_of_sidecar(former, scan), name_of_sidecar(file, scan)
                yield (
                    f"{first} and {second} both hold for the scan and say different things of "
                    f"{' and '.join(keys)}: the latter is taken"
                )
