"""Files that end in .h5: those of ISMRMRD and those of fastMRI, told apart by what is in them."""

from pathlib import Path

from inversesr.errors import InputError
from inversesr.io.kspace import fastmri, ismrmrd
from inversesr.io.kspace.record import RawKSpace


def load(path: Path) -> RawKSpace:
    """Return what a file holds; see `formats.Reader`."""
    import h5py

    with h5py.File(path, "r") as file:
        if "kspace" in file:
            return fastmri.read(file, path.name)
        group = ismrmrd.group_of(file)
        if group is not None:
            return ismrmrd.read(group, path.name)
        names = ", ".join(file) or "nothing"
    message = (
        f"{path.name} holds {names}; expected the group `dataset` of ISMRMRD or the array "
        "`kspace` of fastMRI: convert raw data of a scanner with siemens_to_ismrmrd or its like"
    )
    raise InputError(message)
