"""What the name of a file says of the image in it: its subject, and whether it is a scan at all.

Reference: Brain Imaging Data Structure 1.10, "Filenames" and "Derivatives: Imaging data types".
"""

import re
from collections.abc import Sequence
from pathlib import Path

from inversesr.errors import InputError
from inversesr.io.checks import stem

# Parts of a complex image beside its magnitude: an entity of BIDS, and what dcm2niix appends.
PARTS = {
    "part-phase": "phase",
    "part-real": "real part",
    "part-imag": "imaginary part",
    "ph": "phase",
    "imaginary": "imaginary part",
}
# Suffixes of BIDS for field maps; elsewhere a phase may be one of a contrast agent.
PHASE_SUFFIXES = ("phase", "phase1", "phase2", "phasediff")
# How names of masks and label maps end: suffixes of BIDS, FreeSurfer's names, and common words.
LABEL_ENDINGS = (
    "mask", "seg", "dseg", "probseg", "defacemask", "segmentation", "parcellation", "parc",
    "label", "labels", "labelmap", "roi", "rois", "aparc", "wmparc", "ribbon", "surprise",
)  # fmt: skip
# Labels that name a person and a visit.
SUBJECT, SESSION = "sub", "ses"


def entities_of(name: str) -> dict[str, str] | None:
    """Return the entities of a name of BIDS, its suffix among them; None of any other name.

    Args:
        name: File name without its ending, such as sub-01_acq-thick_T1w.
    """
    *pairs, suffix = name.split("_")
    if not re.fullmatch("[A-Za-z0-9]+", suffix) or any("-" not in pair for pair in pairs):
        return None
    return {**dict(pair.split("-", 1) for pair in pairs), "suffix": suffix}


def part_of(name: str) -> str | None:
    """Return which part of a complex image a name speaks of; None for a magnitude.

    Args:
        name: File name without its ending.
    """
    words = name.lower().split("_")
    entities = entities_of(name) or {}
    if SUBJECT in entities and entities["suffix"] in PHASE_SUFFIXES:
        return "phase"
    return next((PARTS[w] for w in words if w in PARTS and ("-" in w or w == words[-1])), None)


def is_named_labels(name: str) -> bool:
    """Whether an image is called a mask or a label map.

    Args:
        name: File name without its ending.
    """
    last = re.split(r"[_\-.+ ]", name.lower())[-1]
    return last in LABEL_ENDINGS or last.endswith(("mask", "seg"))


def check_one_subject(paths: Sequence[Path]) -> None:
    """Refuse scans of different people or visits, which are not to be fused into one image.

    Labels are read from the name of a file, or else from the folders that it is in.

    Raises:
        InputError: two labels differ.
    """
    for key, what in ((SUBJECT, "subjects"), (SESSION, "sessions")):
        found = {label: path for path in reversed(paths) if (label := _label_of(path, key))}
        if len(found) > 1:
            first, second, *_ = sorted(found)
            message = (
                f"{found[first].name} and {found[second].name} are of different {what} "
                f"({key}-{first}, {key}-{second}); several scans of one run are fused into one "
                "image: to restore each by itself, run `inversesr batch FOLDER -o DIR`"
            )
            raise InputError(message)


def label_in(name: str, key: str) -> str | None:
    """Return a label in a file name, such as 01 for sub-01; None where there is none.

    Args:
        name: File name.
        key: "sub" or "ses".
    """
    found = re.search(rf"(?:^|_){key}-([A-Za-z0-9+]+)", name)
    return found[1] if found else None


def _label_of(path: Path, key: str) -> str | None:
    """Return the label of a file; its own name goes before its folders."""
    label = label_in(stem(path), key)
    if label is not None:
        return label
    folders = [
        re.fullmatch(rf"{key}-([A-Za-z0-9+]+)", part) for part in path.parent.resolve().parts
    ]
    return next((found[1] for found in reversed(folders) if found), None)
