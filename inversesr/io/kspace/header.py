"""The XML header of ISMRMRD, which fastMRI's files carry too.

Reference: Inati et al. (2017), ISMRM raw data format: a proposed standard for MRI raw datasets,
Magnetic Resonance in Medicine 77(1):411-421, doi:10.1002/mrm.26089.
"""

from dataclasses import dataclass
from xml.etree import ElementTree

from inversesr.errors import InputError


@dataclass(frozen=True)
class Space:
    """An image that is encoded, or reconstructed.

    Attributes:
        shape: Voxels along readout, phase and slice encoding.
        field_mm: Lengths of the field of view.
    """

    shape: tuple[int, int, int]
    field_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Header:
    """What the header says of the first encoding.

    Attributes:
        encoded: The image as it is encoded.
        wanted: The image as it is to be, without oversampling.
        centres: Step of k = 0 along y and z; None where it is the middle.
        trajectory: Such as "cartesian" or "spiral".
    """

    encoded: Space
    wanted: Space
    centres: tuple[int | None, int | None]
    trajectory: str


def parse_header(text: str | bytes, label: str) -> Header:
    """Read the header.

    Raises:
        InputError: it is no XML, lacks what is needed, or the trajectory is not Cartesian.
    """
    raw = text.encode() if isinstance(text, str) else text
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        message = f"the header of {label} declares entities; expected plain XML: export it again"
        raise InputError(message)
    try:
        root = ElementTree.fromstring(raw)
        first = root.findall("{*}encoding")[0]
        steps = ("kspace_encoding_step_1", "kspace_encoding_step_2")
        header = Header(
            read_space(first, "encodedSpace"),
            read_space(first, "reconSpace"),
            (centre_of(first, steps[0]), centre_of(first, steps[1])),
            (first.findtext("{*}trajectory") or "cartesian").strip().lower(),
        )
    except (ElementTree.ParseError, IndexError, TypeError, ValueError, AttributeError) as error:
        message = f"the header of {label} lacks what an image needs ({error}): export it again"
        raise InputError(message) from error
    if header.trajectory not in ("cartesian", "other", ""):
        message = (
            f"{label} was sampled along a {header.trajectory} trajectory; expected a Cartesian "
            "one: reconstruct it with BART (`bart pics -t`), MRpro or SigPy"
        )
        raise InputError(message)
    return header


def read_space(encoding: ElementTree.Element, name: str) -> Space:
    """Return one of the two images of an encoding."""
    shape = [int(find(encoding, f"{name}/matrixSize/{axis}")) for axis in "xyz"]
    field = [float(find(encoding, f"{name}/fieldOfView_mm/{axis}")) for axis in "xyz"]
    if min(shape) < 1 or min(field) <= 0:
        message = f"{name} has a side of nothing"
        raise ValueError(message)
    return Space((shape[0], shape[1], shape[2]), (field[0], field[1], field[2]))


def centre_of(encoding: ElementTree.Element, step: str) -> int | None:
    """Return which step of an encoding is k = 0."""
    found = encoding.findtext(f"{{*}}encodingLimits/{{*}}{step}/{{*}}center")
    return None if found is None else int(found)


def find(encoding: ElementTree.Element, path: str) -> str:
    """Return the text of an element, whatever its namespace."""
    found = encoding.findtext("/".join(f"{{*}}{name}" for name in path.split("/")))
    if found is None:
        message = f"{path} is missing"
        raise ValueError(message)
    return found
