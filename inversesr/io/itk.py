"""NRRD and MetaImage files, such as 3D Slicer writes, read by ITK.

ITK compares no checksum: compressed voxels are decompressed here first, to their end. A file that
does not name the space of its axes is taken by ITK for one of the patient's left, back and top;
here it is one whose place is not known.

Reference: Kindlmann, Definition of the NRRD file format; ITK, MetaIO documentation.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.checks import check_memory
from inversesr.io.faults import refuse_machine
from inversesr.volume import Grid

# ITK's world runs to the patient's left and back, NIfTI's to the right and front
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0])
SPACES = (
    "right-anterior-superior", "ras", "left-anterior-superior", "las",
    "left-posterior-superior", "lps",
)  # fmt: skip
ORIENTATIONS = ("transformmatrix", "orientation", "rotation")
# Where the file of the voxels is named, and what makes them begin later in it.
DATA_FILES = ("data file", "datafile", "elementdatafile")
SKIPS = ("byte skip", "byteskip", "line skip", "lineskip", "headersize")
HEADER_BYTES = 1 << 16
CHUNK_BYTES = 1 << 20
# Axes nearer to right angles than this are told by a qform too.
RIGHT_ANGLE_DEGREES = 0.01


@dataclass(frozen=True)
class _Text:
    """The header of a file.

    Attributes:
        fields: Names, in small letters, and what stands behind them.
        data: File of the voxels; None where they are in many.
        begin: Where they, or their compressed stream, begin in it.
    """

    fields: dict[str, str]
    data: Path | None
    begin: int

    @property
    def is_compressed(self) -> bool:
        """Whether the voxels are a gzip or zlib stream."""
        in_nrrd = self.fields.get("encoding", "").lower() in ("gz", "gzip")
        return in_nrrd or self.fields.get("compresseddata", "").lower() == "true"

    @property
    def is_binary(self) -> bool:
        """Whether the voxels are numbers as memory holds them, or these compressed."""
        is_plain = self.fields.get("encoding", "raw").lower() in ("raw", "gz", "gzip")
        return is_plain and self.fields.get("binarydata", "true").lower() == "true"

    @property
    def knows_place(self) -> bool:
        """Whether the axes of the world are named."""
        is_nrrd = "encoding" in self.fields
        if is_nrrd:
            return self.fields.get("space", "").lower() in SPACES
        return any(name in self.fields for name in ORIENTATIONS)


def load(path: Path) -> Any:  # noqa: ANN401 (nibabel has no types)
    """Read an image into memory, with its place in the world.

    Args:
        path: A .nrrd, .nhdr, .mha or .mhd file.

    Returns:
        The same as a nibabel NIfTI-1 image: in scanner coordinates, or without any where the file
        does not say how its axes lie.

    Raises:
        InputError: the file is no image of one intensity a voxel, or is damaged.
        MachineError: this machine could not read it.
    """
    import SimpleITK

    unreadable = f"{path.name} is not a readable image: expected NRRD or MetaImage, whole"
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        text = _read_text(path)
        if text.data is not None:
            text.data.stat()  # ITK would not say that it is missing
        reader.ReadImageInformation()
        _check_kind(reader, path.name)
        n_bytes = _check_stream(text, path.name) if text.is_binary else None
        image = reader.Execute()
    except (RuntimeError, ValueError) as error:
        refuse_machine(path.name, error)
        raise InputError(unreadable) from error
    except OSError as error:
        refuse_machine(path.name, error)
        raise
    voxels = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    if n_bytes is not None and n_bytes != voxels.nbytes:
        message = (
            f"{path.name} holds {n_bytes} bytes of voxels where its header declares "
            f"{voxels.nbytes}: its header is damaged, or not its own; save the scan again"
        )
        raise InputError(message)
    return _as_nifti(voxels, image, knows_place=text.knows_place)


def _as_nifti(voxels: NDArray[Any], image: Any, *, knows_place: bool) -> Any:  # noqa: ANN401
    if not knows_place:
        unplaced = nibabel.Nifti1Image(voxels, None, dtype=voxels.dtype)
        unplaced.header.set_zooms(image.GetSpacing())
        return unplaced
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = RAS_FROM_LPS @ directions * np.array(image.GetSpacing())
    affine[:3, 3] = RAS_FROM_LPS @ np.array(image.GetOrigin())
    found = nibabel.Nifti1Image(voxels, affine, dtype=voxels.dtype)
    found.set_sform(affine, 1)
    is_right = abs(np.linalg.det(directions)) > 0.1
    if is_right and Grid((1, 1, 1), affine).shear_degrees < RIGHT_ANGLE_DEGREES:
        found.set_qform(affine, 1)
    found.header.set_xyzt_units("mm")
    return found


def _check_kind(reader: Any, label: str) -> None:  # noqa: ANN401 (SimpleITK has no types)
    """Refuse what is no 3D image of one number a voxel, or larger than memory."""
    import SimpleITK

    n_dimensions, n_components = reader.GetDimension(), reader.GetNumberOfComponents()
    if n_dimensions != 3 or n_components != 1:
        shape = " x ".join(str(n) for n in reader.GetSize())
        message = (
            f"{label} is {n_dimensions}D ({shape} voxels) with {n_components} values in "
            "each; expected one 3D image of one intensity a voxel"
        )
        raise InputError(message)
    one = SimpleITK.GetArrayFromImage(SimpleITK.Image([1, 1, 1], reader.GetPixelID()))
    # what was decompressed, what ITK holds, and its copy
    check_memory(reader.GetSize(), 2 * one.dtype.itemsize, label)


def data_file(path: Path) -> Path | None:
    """Return the file that holds the voxels of a header; None where they are in many.

    Args:
        path: A .nrrd, .nhdr, .mha or .mhd file.

    Raises:
        OSError: it cannot be read.
    """
    return _read_text(path).data


def _read_text(path: Path) -> _Text:
    """Read the header of a file: lines of `name: value` (NRRD) or `name = value` (MetaImage)."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        is_nrrd = file.read(4) == b"NRRD"
        file.seek(0)
        separator, last = (":", "") if is_nrrd else ("=", "elementdatafile")
        for line in iter(lambda: file.readline(HEADER_BYTES), b""):
            name, _, value = line.decode("utf-8", "replace").partition(separator)
            fields[name.strip().lower()] = value.strip()
            if name.strip().lower() == last or file.tell() > HEADER_BYTES:
                break
        begin = file.tell()
    named = next((fields[name] for name in DATA_FILES if name in fields), "LOCAL")
    if named.upper() == "LOCAL":
        return _Text(fields, path, begin)
    is_many = named.startswith("LIST") or "%" in named
    return _Text(fields, None if is_many else path.parent / named, 0)


def _check_stream(text: _Text, label: str) -> int | None:
    """Read voxels to their end.

    Returns:
        How many bytes they are; None where that is not to be told by counting.

    Raises:
        InputError: their compressed stream is damaged.
        OSError: they cannot be read.
    """
    if text.data is None:
        return None
    n_bytes = 0
    try:
        with text.data.open("rb") as file:
            file.seek(text.begin)
            for chunk in _chunks(file, text):
                n_bytes += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"{label} is damaged (its compressed voxels are spoilt): copy it again"
        raise InputError(message) from error
    return None if any(text.fields.get(name, "0") != "0" for name in SKIPS) else n_bytes


def _chunks(file: BinaryIO, text: _Text) -> Iterator[bytes]:
    """Give the voxels of a file, decompressed, piece by piece."""
    if not text.is_compressed:
        yield from iter(lambda: file.read(CHUNK_BYTES), b"")
    elif "encoding" in text.fields:
        with gzip.GzipFile(fileobj=file) as unzipped:
            yield from iter(lambda: unzipped.read(CHUNK_BYTES), b"")
    else:
        inflating = zlib.decompressobj()
        while not inflating.eof:
            if not (piece := file.read(CHUNK_BYTES)):
                raise EOFError
            yield inflating.decompress(piece)
