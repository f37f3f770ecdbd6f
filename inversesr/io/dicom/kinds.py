"""What a series is by its tags: a scan to restore, a scout, a derived image, a picture."""

import re
from collections.abc import Sequence

from inversesr.io.dicom.geometry import n_orientations
from inversesr.io.dicom.header import Instance

# Words of Image Type behind the first two; a series that has one is no scan as it was taken.
DERIVED_WORDS = {
    "MPR": "a reformat", "REFORMATTED": "a reformat", "CSA MPR": "a reformat",
    "CSAPARALLEL": "a reformat", "CSARADIAL": "a reformat", "MPR THICK": "a reformat",
    "PROJECTION IMAGE": "a projection", "MIP": "a projection", "MNIP": "a projection",
    "MIN_IP": "a projection", "MAX_IP": "a projection", "CSA MIP": "a projection",
    "SUBTRACTION": "a subtraction", "SUB": "a subtraction",
    "ADC": "a diffusion map", "FA": "a diffusion map", "TRACEW": "a diffusion map",
    "EADC": "a diffusion map", "CALC_BVALUE": "a diffusion map", "TENSOR": "a diffusion map",
    "T1 MAP": "a map", "T2 MAP": "a map", "T2_STAR MAP": "a map", "R2 MAP": "a map",
    "CBF": "a perfusion map", "RELCBF": "a perfusion map", "RELCBV": "a perfusion map",
    "RELMTT": "a perfusion map", "TTP": "a perfusion map", "GBP": "a perfusion map",
    "MOCO": "a series corrected for motion", "T_MAP": "a statistical map",
}  # fmt: skip
# Maps and parts of a complex image: never a scan.
FIELD_WORDS = ("B0", "B0 MAP", "FIELD_MAP", "FIELDMAP", "B1", "B1 MAP", "B1_MAP", "B0_MAP")
SCOUT = re.compile(
    r"(?<![a-z])(loc|localizer|localiser|scout|survey|3[ -]?plane|three[ -]?plane|pilot"
    r"|smartbrain|aahead|aahscout|plan_?scan)(?![a-z])",
    re.IGNORECASE,
)
PHASES = {"PHASE": "phase", "REAL": "real part", "IMAGINARY": "imaginary part"}


def other_of(instances: Sequence[Instance]) -> str:
    """Return what instances are that are no scan, in words that follow the series' name.

    Args:
        instances: All files of one image.
    """
    first = instances[0]
    if first.modality != "MR":
        return f"is {first.modality or 'of no stated modality'}; expected MR"
    if not all(first.shape):
        return "holds no image: it is a report or another document"
    if "Secondary Capture" in first.sop_class or "SCREEN SAVE" in first.image_type:
        return "is a screenshot (secondary capture): give the series that it was taken from"
    if first.samples != 1:
        return "is in colour; expected one intensity a voxel"
    if set(FIELD_WORDS) & set(first.image_type):
        return "is a field map (B0 or B1); expected a scan"
    part = PHASES.get(first.frames[0].component)
    return f"is the {part} of a complex image; expected its magnitude" if part else ""


def damage_of(instances: Sequence[Instance]) -> str:
    """Return which instances are cut short, in words that follow the series' name; else nothing.

    Args:
        instances: All files of one image.
    """
    broken = [instance for instance in instances if not instance.is_whole]
    if len(broken) == len(instances):
        return "has no voxels, or ends before its last one: send it again"
    if broken:
        named = ", ".join(str(b.number if b.number is not None else "?") for b in broken[:3])
        return (
            f"has {len(broken)} of {len(instances)} instances that are cut short (instance "
            f"{named}): send it again"
        )
    return ""


def doubt_of(instances: Sequence[Instance]) -> str:
    """Return what else a series is than a scan as it was taken, such as "a scout"; else nothing.

    Args:
        instances: All files of one image.
    """
    first = instances[0]
    if any(instance.is_made_here for instance in instances):
        return "a result of this program"
    if "LOCALIZER" in first.image_type or SCOUT.search(first.description):
        return "a scout"
    frames = [frame for instance in instances for frame in instance.frames]
    if n_orientations(frames[:: max(1, len(frames) // 200)]) > 1:
        return "a scout"
    if first.image_type[:1] == ("DERIVED",):
        words = first.image_type[2:]
        return next((DERIVED_WORDS[w] for w in words if w in DERIVED_WORDS), "a derived image")
    return ""
