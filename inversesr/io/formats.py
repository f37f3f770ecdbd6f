"""File formats that are read by a module of their own: one line each.

NIfTI and MGH are read by nibabel, in `io.source`. Any other format is a module of this room with
the functions of `Reader`.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

# endings of file names, in small letters -> the module that reads such files
READERS: dict[tuple[str, ...], str] = {
    (".nrrd", ".nhdr", ".mha", ".mhd"): "inversesr.io.itk",
}
READER_SUFFIXES = tuple(ending for endings in READERS for ending in endings)


class Reader(Protocol):
    """What a module of a format must offer."""

    def load(self, path: Path) -> Any:  # noqa: ANN401 (nibabel has no types)
        """Return a file as a nibabel image: voxels, affine in RAS+ millimetres, header.

        Raises:
            InputError: the file is no usable image of this format.
            MachineError: the machine cannot read it.
        """
        ...

    def data_file(self, path: Path) -> Path | None:
        """Return the file that holds the voxels; None where that is not one file.

        Raises:
            OSError: the file cannot be read.
        """
        ...


def reader_of(path: Path) -> Reader | None:
    """Return the module that reads a file, by its name; None where nibabel does."""
    for endings, module in READERS.items():
        if path.name.lower().endswith(endings):
            return cast("Reader", import_module(module))
    return None
