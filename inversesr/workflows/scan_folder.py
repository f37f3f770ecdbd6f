"""Which files of a folder are scans."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from inversesr.errors import InputError
from inversesr.io.checks import SUFFIXES, stem
from inversesr.io.names import is_named_labels, part_of
from inversesr.io.paths import parts_of
from inversesr.workflows.batch_table import TABLE_NAME
from inversesr.workflows.outputs import output_names
from inversesr.workflows.record import read_record

DESCRIPTION_NAME = "dataset_description.json"


def find_scans(
    folder: Path, patterns: Sequence[str] = (), without: Path | None = None
) -> list[Path]:
    """Return the images below a folder, sorted; links are followed.

    In a BIDS dataset these are the scans in its `anat` folders, derivatives left out; elsewhere
    all images but hidden ones and results of `inversesr`: those beside their scans, and whatever
    lies below a folder with the table of a batch. What is called a mask, a label map, or the phase
    of a complex image is no scan.

    Args:
        folder: Where to look.
        patterns: How names end, such as "*_T2w.nii.gz" or "sub-01/*/*.nii"; none for all.
        without: Folder of results, which is left out where it is one of those below.

    Raises:
        InputError: there is no such folder, no image in it, or a part of it cannot be read.
    """
    if not folder.is_dir():
        message = f"{folder} is not a folder: give one that holds scans"
        raise InputError(message)
    is_bids = (folder / DESCRIPTION_NAME).is_file()
    images = [
        path
        for path in sorted(files_below(folder, without))
        if path.name.lower().endswith(SUFFIXES)
        and not _is_second_half(path)
        and _may_be_scan(path.relative_to(folder), is_bids=is_bids)
    ]
    results = {file for image in images for file in _results_of(image)}
    found = [
        path
        for path in images
        if path not in results
        and (not patterns or any(path.relative_to(folder).match(p) for p in patterns))
    ]
    if not found:
        where = "in the anat folders of the BIDS dataset" if is_bids else "below"
        like = f" like {' or '.join(patterns)}" if patterns else ""
        message = (
            f"no image{like} {where} {folder}; expected {', '.join(SUFFIXES)}, not called a mask, "
            "a label map or the phase of a scan"
        )
        raise InputError(message)
    return found


def _results_of(image: Path) -> list[Path]:
    """Return the results of a run on an image beside it, and of the run that made the image."""
    record = read_record(image.with_name(f"{stem(image)}.json"))
    # only our records have both; other programs' sidecars may have either
    made = record.get("files") if "IntendedUse" in record else None
    names = made.values() if isinstance(made, dict) else ()
    beside = [image.with_name(name) for name in names if isinstance(name, str) and name]
    return beside + list(output_names(image, None).files.values())


def _is_second_half(path: Path) -> bool:
    """Whether a file is the voxels of a pair whose header lies beside it."""
    header = parts_of(path)[0]
    return header != path and header.is_file()


def _may_be_scan(path: Path, *, is_bids: bool) -> bool:
    """Whether a file, named from the folder on, lies where scans lie and is called like one."""
    if any(part.startswith(".") for part in path.parts):
        return False
    if is_named_labels(stem(path)) or part_of(stem(path)) is not None:
        return False
    if not is_bids:
        return True
    is_derived = path.parts[0] in ("derivatives", "sourcedata", "code")
    return path.parent.name == "anat" and not is_derived


def files_below(folder: Path, without: Path | None) -> Iterator[Path]:
    """Give the files below a folder, links followed, results of batches left out."""

    def refuse(error: OSError) -> None:
        message = (
            f"cannot read {error.filename} ({error.strerror}): make it readable for this user"
        )
        raise InputError(message) from error

    left_out = None if without is None else without.resolve()
    seen: set[Path] = set()
    for parent, names, files in os.walk(folder, onerror=refuse, followlinks=True):
        here = Path(parent).resolve()
        is_results = here != folder.resolve() and (here == left_out or TABLE_NAME in files)
        if is_results or here in seen:
            names.clear()
            continue
        seen.add(here)
        yield from (Path(parent) / name for name in files)
