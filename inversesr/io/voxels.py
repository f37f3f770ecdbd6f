"""The voxels of an image, and whether its file holds just these."""

from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.faults import UNREADABLE, refuse
from inversesr.io.streams import Voxels, path_of, read_voxels


def read_array(
    image: Any,  # noqa: ANN401 (nibabel has no types)
    label: str,
    series: int | None = None,
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Read the voxels of an image, and its file to the end.

    Args:
        image: A nibabel image.
        label: What messages call it.
        series: Which volume of a 4D series, counted from 0; None for all voxels.

    Returns:
        Voxels, float32, in the shape of the image or of the volume, and what is odd about the
        file, in sentences.

    Raises:
        InputError: the file is damaged, or holds more or less than its header declares.
        MachineError: this machine could not read it.
    """
    # further axes are of length 1
    further = (0,) * (len(image.shape) - 4)
    part = None if series is None else (..., series, *further)
    proxy = image.dataobj
    if path_of(proxy) is None:
        return _from_memory(proxy, part, label), ()
    voxels = read_voxels(proxy, label, part)
    # behind the voxels of MGH lie times and tags
    if not isinstance(image, nibabel.MGHImage):
        _check_surplus(voxels, proxy, label)
    odd = (f"{label} is followed by bytes that are no part of it: they are left out",)
    with np.errstate(all="ignore"):
        return np.asarray(voxels.data, dtype=np.float32), odd if voxels.has_trailer else ()


def _from_memory(array: Any, part: Any, label: str) -> NDArray[np.float32]:  # noqa: ANN401
    """Return voxels that nibabel, or another library, holds or reads."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(array if part is None else array[part], dtype=np.float32)
    except UNREADABLE as error:
        refuse(label, error, "ends before its last voxel or is damaged: copy or convert it again")


def _check_surplus(voxels: Voxels, proxy: Any, label: str) -> None:  # noqa: ANN401
    """Refuse a file whose header declares fewer voxels than there are: which they are is open."""
    if voxels.n_surplus > 0:
        size = " x ".join(str(int(n)) for n in proxy.shape)
        message = (
            f"{label} holds {voxels.n_surplus} bytes more than the {size} voxels of "
            f"{proxy.dtype.name} that its header declares: its header is damaged, or not its own; "
            "convert the scan again"
        )
        raise InputError(message)
