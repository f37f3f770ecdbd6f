"""K-space of ISMRMRD: one record a readout, with where it lies in k-space and in the patient.

Reference: Inati et al. (2017), doi:10.1002/mrm.26089. Directions are those of the patient's left,
back and head; an image's voxels run along the readout, phase and slice directions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.kspace.header import Header, parse_header
from inversesr.io.kspace.record import RawKSpace
from inversesr.volume import Grid

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0])
# Bits of the flags of a readout, counted from 1.
NOISE, REVERSED = 19, 22
# Navigators, phase correction, feedback, dummy scans: no image.
OTHERS = (23, 24, 26, 27, 28, 29)
COUNTERS = ("contrast", "phase", "repetition", "set")


@dataclass(frozen=True, eq=False)
class Readout:
    """One line of k-space.

    Attributes:
        samples: Shape (n_coils, n).
        place: Indices along y, z and slices.
        first: Index of its first sample along x.
    """

    samples: NDArray[np.complex64]
    place: tuple[int, int, int]
    first: int


def group_of(file: Any) -> Any:  # noqa: ANN401  (h5py)
    """Return the group of an open file that holds a dataset of ISMRMRD, or None."""
    groups = [item for item in file.values() if hasattr(item, "keys")]
    return next((group for group in groups if "data" in group and "xml" in group), None)


def read(group: Any, label: str) -> RawKSpace:  # noqa: ANN401  (h5py)
    """Return what a dataset holds.

    Raises:
        InputError: it is not Cartesian, or its readouts do not fit together.
    """
    text = np.asarray(group["xml"][()]).reshape(-1)[0]
    header = parse_header(text, label)
    records = group["data"][()]
    heads = records["head"]
    flags = heads["flags"].astype(np.uint64)
    is_noise, is_other = has_flag(flags, NOISE), np.zeros(len(flags), dtype=bool)
    for bit in OTHERS:
        is_other |= has_flag(flags, bit)
    is_image = ~is_noise & ~is_other
    taken, warnings = one_image(heads, is_image)
    refuse_differing_coils(heads[taken], label)
    lines = [line_of(records[n], header, label) for n in np.flatnonzero(taken)]
    array = gather(lines, header, label)
    is_3d = header.encoded.shape[2] > 1
    n_slices = array.shape[3]
    shape = (*header.wanted.shape[:2], header.wanted.shape[2] if is_3d else n_slices)
    return RawKSpace(
        array,
        "cxyz" if is_3d else "cxys",
        noise=noise_of(records[is_noise]),
        grid=grid_of(heads[taken], header, shape),
        image_shape=shape,
        warnings=warnings,
    )


def has_flag(flags: NDArray[np.uint64], bit: int) -> NDArray[np.bool_]:
    """Whether readouts bear a flag."""
    return np.asarray((flags >> np.uint64(bit - 1)) & np.uint64(1), dtype=bool)


def one_image(
    heads: NDArray[Any], is_image: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Choose the readouts of the first image; say which others there are."""
    taken, warnings = is_image & (heads["encoding_space_ref"] == 0), []
    n_encodings = len(np.unique(heads["encoding_space_ref"][is_image]))
    if n_encodings > 1:
        warnings.append(
            f"the file holds images of {n_encodings} encodings: only the first is used"
        )
    for counter in COUNTERS:
        numbers = heads["idx"][counter][taken]
        if len(numbers) and numbers.max() > numbers.min():
            n = len(np.unique(numbers))
            warnings.append(f"the file holds {n} images by {counter}: the first is used")
            taken = taken & (heads["idx"][counter] == numbers.min())
    return taken, tuple(warnings)


def refuse_differing_coils(heads: NDArray[Any], label: str) -> None:
    """Check that there are readouts and that all have the same coils.

    Raises:
        InputError: there are none, or coils differ.
    """
    numbers = np.unique(heads["active_channels"])
    if len(numbers) == 0:
        message = f"{label} holds no readout of an image; expected some"
        raise InputError(message)
    if len(numbers) > 1:
        message = (
            f"readouts of {label} have {numbers.min()} to {numbers.max()} coils; expected the "
            "same coils in all: export the coils that took part in all of them"
        )
        raise InputError(message)


def line_of(record: Any, header: Header, label: str) -> Readout:  # noqa: ANN401  (numpy void)
    """Return one readout and where it lies in k-space."""
    head = record["head"]
    n, n_coils = int(head["number_of_samples"]), int(head["active_channels"])
    values = np.asarray(record["data"], dtype=np.float32)
    if values.size != 2 * n * n_coils:
        message = (
            f"a readout of {label} has {values.size // 2} samples; expected {n} of each of "
            f"{n_coils} coils: export it again"
        )
        raise InputError(message)
    samples = values.view(np.complex64).reshape(n_coils, n)
    kept = slice(int(head["discard_pre"]), n - int(head["discard_post"]))
    centre = int(head["center_sample"]) - kept.start
    samples = samples[:, kept]
    if (int(head["flags"]) >> (REVERSED - 1)) & 1:
        samples, centre = samples[:, ::-1], samples.shape[1] - 1 - centre
    middle = [side // 2 for side in header.encoded.shape]
    steps = [int(head["idx"][f"kspace_encode_step_{axis}"]) for axis in (1, 2)]
    y, z = (
        step - (m if c is None else c) + m
        for step, c, m in zip(steps, header.centres, middle[1:], strict=True)
    )
    return Readout(samples, (y, z, int(head["idx"]["slice"])), middle[0] - centre)


def gather(lines: list[Readout], header: Header, label: str) -> NDArray[np.complex64]:
    """Put readouts into their places; those of one place are averaged, shape (c, x, y, z or s)."""
    n_x, n_y, n_z = header.encoded.shape
    is_3d = n_z > 1
    depth = n_z if is_3d else max(line.place[2] for line in lines) + 1
    n_coils = len(lines[0].samples)
    total = np.zeros((n_coils, n_x, n_y, depth), dtype=np.complex64)
    count = np.zeros((n_x, n_y, depth), dtype=np.float32)
    for line in lines:
        y, z, number = line.place
        deep, last = (z if is_3d else number), line.first + line.samples.shape[1]
        if not (0 <= y < n_y and 0 <= deep < depth and line.first >= 0 and last <= n_x):
            message = (
                f"a readout of {label} lies at x {line.first} to {last}, y {y}, z {deep}; "
                f"expected within {n_x} x {n_y} x {depth}: the header is of another scan"
            )
            raise InputError(message)
        total[:, line.first : last, y, deep] += line.samples
        count[line.first : last, y, deep] += 1.0
    return np.asarray(total / np.maximum(count, 1.0), dtype=np.complex64)


def noise_of(records: NDArray[Any]) -> NDArray[np.complex64] | None:
    """Return the samples of the noise scan, shape (n_coils, n); None where there is none."""
    if len(records) == 0:
        return None
    n_coils = int(records[0]["head"]["active_channels"])
    lines = [
        np.asarray(record["data"], dtype=np.float32).view(np.complex64).reshape(n_coils, -1)
        for record in records
        if int(record["head"]["active_channels"]) == n_coils
    ]
    return np.concatenate(lines, axis=1)


def grid_of(heads: NDArray[Any], header: Header, shape: tuple[int, int, int]) -> Grid | None:
    """Return where the voxels lie, by position and directions; None where they are not told."""
    directions = np.stack(
        [
            np.asarray(heads[0][name], dtype=float)
            for name in ("read_dir", "phase_dir", "slice_dir")
        ]
    ).T
    if abs(np.linalg.det(directions)) < 0.5:
        return None
    wanted = header.wanted
    spacing = [field / n for field, n in zip(wanted.field_mm, wanted.shape, strict=True)]
    positions = np.asarray(heads["position"], dtype=float)
    numbers = np.asarray(heads["idx"]["slice"])
    centre = positions[numbers == numbers.min()][0]
    if header.encoded.shape[2] == 1 and shape[2] > 1:
        last = positions[numbers == numbers.max()][0]
        step = (last - centre) / (shape[2] - 1)
        if np.linalg.norm(step) > 0:
            directions[:, 2] = step / np.linalg.norm(step)
            spacing[2] = float(np.linalg.norm(step))
    affine = np.eye(4)
    affine[:3, :3] = RAS_FROM_LPS @ directions * np.asarray(spacing)
    middle = np.array(
        [shape[0] // 2, shape[1] // 2, shape[2] // 2 if header.encoded.shape[2] > 1 else 0]
    )
    affine[:3, 3] = RAS_FROM_LPS @ centre - affine[:3, :3] @ middle
    return Grid(shape, affine)
