"""Which file a user means: what is told of its name alone, before it is read."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from inversesr.errors import AccessError, InputError, MachineError
from inversesr.io.checks import LONGEST_NAME, PAIRS, SUFFIXES
from inversesr.io.stand_ins import check_link

GZIP_MAGIC = b"\x1f\x8b"
ADDRESSES = ("http:/", "https:/", "ftp:/", "s3:/", "gs:/", "file:/")
DICOM = "DICOM: `dcm2niix -z y -b y FOLDER`"
# endings -> what turns such a file into one that is read; FILE is its name
CONVERTERS = {
    (".mnc", ".mnc.gz"): "MINC: `mnc2nii FILE`",
    (".mif", ".mif.gz", ".mih"): "MRtrix: `mrconvert FILE FILE.nii.gz`",
    (".head", ".brik", ".brik.gz"): "AFNI: `3dAFNItoNIFTI FILE`",
    (".par", ".rec"): "Philips PAR/REC: `parrec2nii FILE` of nibabel, or dcm2niix",
    (".gipl", ".gipl.gz"): "GIPL: open it in ITK-SNAP and save it as .nii.gz",
    (".v", ".ima", ".dcm"): DICOM,
    (".png", ".jpg", ".jpeg", ".tif", ".tiff"): "pictures carry no voxel sizes: go back to DICOM",
    (".zip",): "an archive: `unzip FILE`",
    (".tar", ".tar.gz", ".tgz"): "an archive: `tar xf FILE`",
    (".7z",): "an archive: `7z x FILE`",
    (".bz2",): "compressed: `bunzip2 FILE`",
    (".xz",): "compressed: `unxz FILE`",
    (".zst",): "compressed: `unzstd FILE`",
    (".npy", ".npz", ".mat"): "an array has no place in the world: save it by nibabel as .nii.gz",
    (".part", ".crdownload", ".download", ".tmp"): "a download that did not end: start it again",
}
# What the system answers to a name that cannot be, before anything is read.
UNUSABLE_NAMES = {
    errno.ENAMETOOLONG: "it is longer than this disk allows: give a shorter one",
    errno.ELOOP: "it is a link that leads back to itself: give the file itself",
    errno.EINVAL: "this disk takes no such name: rename it",
}


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return the files that make up an image: header and voxels of a pair, else the file alone."""
    name = path.name.lower()
    for header, voxels in PAIRS:
        if name.endswith(header):
            return path, _twin(path, header, voxels)
        if name.endswith(voxels):
            return _twin(path, voxels, header), path
    return (path,)


def _twin(path: Path, ending: str, other: str) -> Path:
    """Return the other file of a pair, in the letters of the first."""
    is_upper = path.name[-len(ending) :].isupper()
    return path.with_name(path.name[: -len(ending)] + (other.upper() if is_upper else other))


def from_home(path: Path) -> Path:
    """Return a path with `~` as the home folder, where no shell has done that.

    Raises:
        InputError: no home folder of that name is known.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        message = f"{path} cannot be found, no such home folder is known: write the whole path"
        raise InputError(message) from error


def check_path(path: Path) -> None:
    """Refuse what is no file of an image by its name.

    Raises:
        InputError: it is missing, a folder, named otherwise, or may not be read.
        MachineError: the disk does not answer.
    """
    _check_letters(path)
    _check_presence(path)
    if not path.name.lower().endswith(SUFFIXES):
        message = (
            f"{path.name} is not one of {', '.join(SUFFIXES)}: convert it to NIfTI first "
            f"({_converter(path)})"
        )
        raise InputError(message)
    for part in parts_of(path):
        if not part.exists() and not part.is_symlink():
            message = f"{path.name} needs {part}, which does not exist: put both in one folder"
            raise InputError(message)
        _check_presence(part)


def misnamed(path: Path) -> str:
    """Say so where a file is compressed and its name denies it, or the other way round."""
    with suppress(OSError), path.open("rb") as file:
        is_compressed = file.read(2) == GZIP_MAGIC
        is_named_so = path.name.lower().endswith(("gz", "mgz"))
        if is_compressed and not is_named_so:
            return ", but compressed: if that is all, rename it to end in .nii.gz"
        if is_named_so and not is_compressed:
            return ", nor compressed as its name says: if that is all, rename it to end in .nii"
    return ""


def _check_letters(path: Path) -> None:
    try:
        n_bytes = len(path.name.encode())
    except UnicodeEncodeError as error:
        name = str(path).encode(errors="replace").decode()
        message = (
            f"the name {name} has letters that this system cannot tell: rename the file, or set "
            "LC_ALL=C.UTF-8"
        )
        raise InputError(message) from error
    if n_bytes > LONGEST_NAME:
        message = (
            f"the name {path.name[:40]}... is {n_bytes} bytes long; expected {LONGEST_NAME} at "
            "most: check the name"
        )
        raise InputError(message)
    if "\0" in str(path):
        message = "the name of a file has a zero byte in it: check the name"
        raise InputError(message)


def _check_presence(path: Path) -> None:
    """Refuse what is not there, is no file, or may not be read by this user."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        check_link(path)
        raise InputError(_absent(path)) from error
    except OSError as error:
        raise name_fault(error, path) from error
    if stat.S_ISDIR(mode):
        message = (
            f"{path} is a folder; expected one NIfTI file: "
            f"if it holds DICOM, run `dcm2niix -z y -b y {path}` and give the .nii.gz it writes"
        )
        raise InputError(message)
    if not stat.S_ISREG(mode):
        message = f"{path} is a pipe or a device; expected a file: save it to one first"
        raise InputError(message)
    if not os.access(path, os.R_OK):
        message = f"no permission to read {path}: make it readable for this user"
        raise AccessError(message)


def name_fault(error: OSError, path: Path) -> InputError | MachineError:
    """Return what a user is told where the system cannot look up a name.

    Args:
        error: What the system answered.
        path: The name.
    """
    told = str(path)
    shown = told if len(told) < 200 else f"{told[:60]}...{told[-30:]}"
    if error.errno in UNUSABLE_NAMES:
        return InputError(f"the name {shown} cannot be used: {UNUSABLE_NAMES[error.errno]}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return AccessError(
            f"no permission to look for {shown}: make the folders above it open to this user"
        )
    return MachineError(
        f"{shown} cannot be read now ({error.strerror}): check disk, network and permissions"
    )


def _absent(path: Path) -> str:
    """Say that a file is not there, and what may have been meant."""
    if str(path).startswith(ADDRESSES):
        return f"{path} is an address; expected a file: download it first"
    for name in (f"{path.name}.gz", path.name.removesuffix(".gz")):
        if name != path.name and path.with_name(name).is_file():
            return f"{path} does not exist, {name} does: check the name"
    return f"{path} does not exist: check the name"


def _converter(path: Path) -> str:
    """Name what converts a file, by the ending of its name."""
    name = path.name.lower()
    endings = next((endings for endings in CONVERTERS if name.endswith(endings)), None)
    return DICOM if endings is None else CONVERTERS[endings].replace("FILE", path.name)
