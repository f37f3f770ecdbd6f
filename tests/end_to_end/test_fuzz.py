"""Whatever bytes and options `run` is given, it succeeds or says why not in one sentence."""

import builtins
import errno
import gzip
import io
import json
import os
import random
import struct
from contextlib import suppress

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from inversesr.acquisition.geometry import describe_acquisition, fine_grid, forward_operator
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.errors import InputError, MachineError
from inversesr.io.nifti import read_scan, to_image
from inversesr.io.paths import parts_of

N_EXAMPLES = 600
# Neither time nor memory for images that only a large machine can refuse.
MEMORY_BYTES = 2**26
ODD = (
    0.0, -0.0, 1.0, -1.0, 4.0, 0.5, 1e-3, 1e-12, 1e-40, 1e5, 1e10, 3e38, -3e38,
    float("nan"), float("inf"), -float("inf"),
)  # fmt: skip
ODD_DOUBLES = (*ODD, 1e200, -1e300, 1e-300)
NUMBERS = st.sampled_from(ODD_DOUBLES) | st.floats() | st.floats(0.3, 5.0) | st.just(1.0)
CODES = (-1, 0, 1, 2, 3, 4, 5, 77, 32767)
TYPES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 0, 1, 999)
FIELDS = (
    "dim", "pixdim", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_z", "srow_x",
    "srow_y", "srow_z", "qform_code", "sform_code", "scl_slope", "scl_inter", "dim_info",
    "xyzt_units", "vox_offset", "magic", "datatype", "bitpix", "sizeof_hdr", "slice_end",
    "slice_code", "intent_code", "cal_max", "descrip",
)  # fmt: skip
SIDECARS = (
    st.none()
    | st.none()
    | st.none()
    | st.none()
    | st.one_of(
        st.binary(max_size=20),
        st.sampled_from([b"", b"[]", b"null", b"{", b"[" * 5000, b'{"SliceThickness": 1e999}']),
        st.dictionaries(
            st.sampled_from(["SliceThickness", "SpacingBetweenSlices", "Other"]),
            NUMBERS | st.sampled_from([3.0, 4.0, True, None, "4", [4], {}, 10**400, -1]),
            max_size=2,
        ).map(lambda found: json.dumps(found).encode()),
    )
)
SETTINGS = settings(
    max_examples=N_EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def header_and_voxels(version, mutations):
    """A usable little scan whose header fields are then replaced one by one."""
    cls = nibabel.Nifti1Header if version == 1 else nibabel.Nifti2Header
    header = np.array(cls().structarr)
    header["dim"] = [3, 4, 4, 4, 1, 1, 1, 1]
    header["pixdim"] = [1, 1, 1, 4, 1, 1, 1, 1]
    header["datatype"], header["bitpix"] = 4, 16
    header["srow_x"], header["srow_y"], header["srow_z"] = np.diag([1, 1, 4, 1])[:3]
    header["sform_code"], header["qform_code"] = 1, 1
    header["scl_slope"], header["vox_offset"] = 1, 352 if version == 1 else 544
    header["magic"] = b"n+1" if version == 1 else header["magic"]
    for name, seed in mutations:
        mutate(header, name, random.Random(seed))
    return header.tobytes() + bytes(4) + np.arange(64, dtype="<i2").tobytes()


def mgh():
    """A usable little scan in the other format."""
    voxels = np.arange(64, dtype=np.int16).reshape(4, 4, 4)
    return nibabel.MGHImage(voxels, np.diag([1.0, 1.0, 4.0, 1.0])).to_bytes()


def mutate(header, name, rng):
    kind = header.dtype[name]
    if name == "dim":
        n = rng.choice((0, 1, 2, 3, 3, 3, 4, 5, 7, 8, -1))
        sizes = rng.choices((1, 2, 3, 4, 4, 4, 0, -1, 30000), k=7)
        header[name] = [n, *sizes]
    elif name.endswith("form_code"):
        header[name] = rng.choice(CODES)
    elif name == "datatype":
        header[name] = rng.choice(TYPES)
    elif kind.base.kind == "f":
        values = ODD if kind.base.itemsize == 4 else ODD_DOUBLES
        k = int(np.prod(kind.shape, dtype=int))
        odd = [rng.choice(values) if rng.random() < 0.4 else 1.0 for _ in range(k)]
        header[name] = np.reshape(odd, kind.shape) if kind.shape else odd[0]
    elif kind.base.kind in "iu":
        info = np.iinfo(kind.base)
        header[name] = rng.choice((0, 1, info.min, info.max, rng.randint(info.min, info.max)))
    else:
        header[name] = rng.randbytes(kind.itemsize)


def damage(blob, flips, length):
    changed = bytearray(blob)
    for position, bit in flips:
        changed[position % len(changed)] ^= 1 << bit
    return bytes(changed[: length if length is None else length % (len(changed) + 1)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for module in ("io.checks", "acquisition.geometry"):
            patch.setattr(f"inversesr.{module}.available_memory_bytes", lambda: MEMORY_BYTES)
        yield tmp_path_factory.mktemp("fuzz")


@SETTINGS
@given(
    version=st.sampled_from([1, 1, 2]),
    mutations=st.lists(st.tuples(st.sampled_from(FIELDS), st.integers(0, 2**32 - 1)), max_size=3),
    flips=st.just([]) | st.lists(st.tuples(st.integers(0, 700), st.integers(0, 7)), max_size=3),
    length=st.none() | st.none() | st.none() | st.none() | st.integers(0, 700),
    suffix=st.sampled_from([".nii", ".nii", ".nii", ".nii.gz", ".mgz"]),
    sidecar=SIDECARS,
    options=st.fixed_dictionaries(
        {},
        optional={
            "spacing_mm": NUMBERS,
            "thickness_mm": NUMBERS,
            "gap_mm": NUMBERS,
            "profile": st.sampled_from(["rect", "gaussian", "slr", "none"]),
            "volume": st.integers(-1, 3),
        },
    ),
)
def test_reading_a_scan_succeeds_or_raises_an_input_error(  # noqa: PLR0913 (what may be wrong)
    folder, version, mutations, flips, length, suffix, sidecar, options
):
    path = folder / f"scan{suffix}"
    whole = mgh() if suffix == ".mgz" else header_and_voxels(version, mutations)
    blob = damage(whole, flips, length)
    path.write_bytes(blob if suffix == ".nii" else gzip.compress(blob, 1))
    (folder / "scan.json").unlink(missing_ok=True)
    if sidecar is not None:
        (folder / "scan.json").write_bytes(sidecar)
    config = Config()
    with suppress(InputError):
        config = Config(**options)
    try:
        scan = read_scan(path, config.volume)
        acquisition = describe_acquisition(scan, config)
        fine = fine_grid(scan.volume.grid, acquisition)
        forward_operator(scan.volume.grid, fine, acquisition)
        made = to_image(scan.volume, scan)
    except InputError as error:
        sentence = str(error)
    else:
        sentence = ""
        assert np.isfinite(made.affine).all()
        if suffix != ".mgz":
            assert_placed_as_the_header_says(scan, blob)
        assert_both_programs_see_one_place(made, scan.volume.grid)
    assert "\n" not in sentence


def corners_mm(affine, shape):
    """Where the eight corners of a volume lie, corner by corner."""
    return np.array(
        [
            affine[:3, :3] @ np.array([i, j, k], float) + affine[:3, 3]
            for i in (0, shape[0] - 1)
            for j in (0, shape[1] - 1)
            for k in (0, shape[2] - 1)
        ]
    )


@np.errstate(all="ignore")
def by_quaternion(b, c, d, offset, sizes, qfac):
    """Method 2 of the NIfTI standard, from its text: R = R(a, b, c, d) diag(sizes)."""
    a = np.sqrt(max(1.0 - (b * b + c * c + d * d), 0.0))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn * (np.abs(sizes) * np.array([1.0, 1.0, -1.0 if qfac < 0 else 1.0]))
    affine[:3, 3] = offset
    return affine


@np.errstate(all="ignore")
def forms_in(blob):
    """Parse the forms of a little-endian header byte by byte; name -> affine, where it is there.

    None for what is no such header.
    """
    if blob[:4] == struct.pack("<i", 348):
        pixdim, codes = struct.unpack_from("<8f", blob, 76), struct.unpack_from("<2h", blob, 252)
        numbers = struct.unpack_from("<18f", blob, 256)
    elif blob[:4] == struct.pack("<i", 540):
        pixdim, codes = struct.unpack_from("<8d", blob, 104), struct.unpack_from("<2i", blob, 344)
        numbers = struct.unpack_from("<18d", blob, 352)
    else:
        return None
    found = {}
    if codes[1] > 0:
        found["sform"] = np.vstack([np.reshape(numbers[6:], (3, 4)), [0, 0, 0, 1]])
    if codes[0] > 0:
        found["qform"] = by_quaternion(*numbers[:3], numbers[3:6], pixdim[1:4], pixdim[0])
    return found


def assert_placed_as_the_header_says(scan, blob):
    """The corners lie where one of the header's forms puts them, the sform unless that is told."""
    forms = forms_in(blob)
    if forms is None:
        return
    grid = scan.volume.grid
    found = corners_mm(grid.affine, grid.shape)
    with np.errstate(all="ignore"):
        apart = {
            name: np.abs(corners_mm(affine, grid.shape) - found).max()
            for name, affine in forms.items()
        }
    # single precision at the greatest distance from the origin that is let pass
    near = [name for name, distance in apart.items() if distance < 0.05]
    if not forms:
        assert any("how it lies in the world" in warning for warning in scan.warnings)
    elif "sform" in forms and "sform" not in near:
        assert near == ["qform"]
        assert any("broken sform" in warning for warning in scan.warnings)
    else:
        assert near


def assert_both_programs_see_one_place(made, grid):
    """Programs that read qform and pixdim see the same head as those that read the sform."""
    header = made.header
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    np.testing.assert_allclose(header["pixdim"][1:4], sizes, rtol=1e-5)
    apart = np.abs(corners_mm(made.affine, grid.shape) - corners_mm(grid.affine, grid.shape))
    if header["sform_code"] > 0:
        assert apart.max() < 0.05
    elif header["qform_code"] > 0:
        assert apart.max() < 0.5


@settings(SETTINGS, max_examples=300)
@given(
    options=st.fixed_dictionaries(
        {},
        optional={
            "thickness_mm": NUMBERS,
            "gap_mm": NUMBERS,
            "noise": NUMBERS,
            "rotate": NUMBERS,
            "axis": st.sampled_from(["R", "A", "S", "X"]),
            "seed": st.integers(),
        },
    )
)
def test_options_of_simulate_are_taken_or_raise_an_input_error(options):
    with suppress(InputError):
        SimulateConfig(**options)


# whole files: every bit of them may be another one

SHAPE, SPACING_MM = (6, 5, 4), (1.0, 1.0, 4.0)
VOXELS = (np.arange(120, dtype=np.int16) * 37 % 900 + 1).reshape(SHAPE)
PLACE = np.eye(4)
PLACE[:3, :3] = Rotation.from_rotvec([0.2, -0.4, 0.3]).as_matrix() * np.array(SPACING_MM)
PLACE[:3, 3] = [-30.0, 20.0, 10.0]
# Bytes of a header that decide on intensities, which nothing in the file repeats.
SLOPE_AND_INTERCEPT = {1: range(112, 120), 2: range(176, 192)}


def saved(path, cls):
    """Write the scan by nibabel, with both forms; return its files."""
    image = cls(VOXELS, PLACE)
    if cls is not nibabel.MGHImage:
        image.set_sform(PLACE, 1)
        image.set_qform(PLACE, 1)
        image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return parts_of(path)


def flip(blob, bits):
    changed = bytearray(blob)
    for bit in bits:
        changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


def outcome(path):
    """Read a scan: its voxels, how far its corners are from where they were, and what is told.

    None where it is refused.
    """
    try:
        scan = read_scan(path)
    except InputError:
        return None
    if scan.volume.grid.shape != SHAPE:
        return False, np.inf, scan.warnings
    apart = corners_mm(scan.volume.grid.affine, SHAPE) - corners_mm(PLACE, SHAPE)
    is_same = bool(np.array_equal(scan.volume.data, VOXELS))
    return is_same, float(np.linalg.norm(apart, axis=1).max()), scan.warnings


@settings(SETTINGS, max_examples=200)
@given(
    kind=st.sampled_from(["1.nii.gz", "2.nii.gz", "a.mgz", "a.img.gz"]),
    bits=st.lists(st.integers(0, 2**16), min_size=1, max_size=3, unique=True),
    from_the_end=st.booleans(),
)
def test_bits_of_a_compressed_file_give_the_right_image_or_a_sentence(
    folder, kind, bits, from_the_end
):
    classes = {"1": nibabel.Nifti1Image, "2": nibabel.Nifti2Image}
    cls = classes.get(kind[0], nibabel.MGHImage if kind == "a.mgz" else nibabel.Nifti1Pair)
    parts = saved(folder / kind, cls)
    part = parts[bits[0] % len(parts)]
    blob = part.read_bytes()
    n_bits = 8 * len(blob)
    # checksum and length are a small part of the file, where most is decided
    bits = [n_bits - 1 - bit % 128 if from_the_end else bit % n_bits for bit in bits]
    part.write_bytes(flip(blob, set(bits)))
    found = outcome(folder / kind)
    if found is not None:
        is_same, apart_mm, _ = found
        assert is_same
        assert apart_mm < 1e-3


@settings(SETTINGS, max_examples=400)
@given(version=st.sampled_from([1, 2, "pair"]), bit=st.integers(0, 2**16))
def test_a_bit_of_a_header_gives_the_right_image_or_is_told(folder, version, bit):
    kinds = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image, "pair": nibabel.Nifti1Pair}
    name = "b.img" if version == "pair" else f"b{version}.nii"
    part = saved(folder / name, kinds[version])[0]
    blob = part.read_bytes()
    n_bytes = 544 if version == 2 else 348
    byte = bit // 8 % n_bytes
    if byte in SLOPE_AND_INTERCEPT[2 if version == 2 else 1]:
        return
    part.write_bytes(flip(blob, [8 * byte + bit % 8]))
    found = outcome(folder / name)
    if found is None:
        return
    is_same, apart_mm, warnings = found
    assert is_same
    # what moves a corner by less than half a millimetre is rounding
    assert apart_mm < 0.6 or warnings


@settings(SETTINGS, max_examples=200)
@given(bit=st.integers(0, 2**16), n_lost=st.integers(0, 60))
def test_bits_of_a_sidecar_give_the_thickness_that_it_states_or_are_told(folder, bit, n_lost):
    text = b'{"SliceThickness": 3.0, "SpacingBetweenSlices": 4.0, "Modality": "MR"}'
    path = folder / "c.nii"
    saved(path, nibabel.Nifti1Image)
    byte = bit // 8 % len(text)
    if text[byte : byte + 1] in b"0123456789.":
        return  # another number is another statement
    changed = flip(text, [8 * byte + bit % 8])
    (folder / "c.json").write_bytes(changed[: len(changed) - n_lost] if n_lost < 9 else changed)
    try:
        scan = read_scan(path)
        acquisition = describe_acquisition(scan, Config())
    except InputError:
        return
    assert acquisition.thickness_mm == 3.0 or acquisition.warnings or scan.warnings


NUMBERS_OF_ERRORS = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.EACCES)


class FailingFile:
    """A file of a disk that fails at some byte."""

    def __init__(self, file, after, number):
        self.file, self.left, self.number = file, after, number

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.file.close()

    def __iter__(self):
        return iter(self.file)

    def count(self, n):
        self.left -= n
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number))

    def read(self, n=-1):
        data = self.file.read(n)
        self.count(len(data))
        return data

    def readinto(self, buffer):
        n = self.file.readinto(buffer)
        self.count(n)
        return n

    def readline(self, n=-1):
        line = self.file.readline(n)
        self.count(len(line))
        return line


@settings(SETTINGS, max_examples=200)
@given(
    name=st.sampled_from(["d.nii", "d.nii.gz", "d.mgz", "d.img", "d.img.gz"]),
    after=st.integers(0, 3000),
    number=st.sampled_from(NUMBERS_OF_ERRORS),
)
def test_a_disk_that_fails_at_any_byte_is_the_machines_fault(folder, name, after, number):
    cls = nibabel.Nifti1Pair if "img" in name else nibabel.Nifti1Image
    saved(folder / name, nibabel.MGHImage if name == "d.mgz" else cls)

    def failing_open(path, *args, **kwargs):
        file = really_open(path, *args, **kwargs)
        is_of_scan = isinstance(path, str | os.PathLike) and os.fspath(path).startswith(
            str(folder)
        )
        return FailingFile(file, after, number) if is_of_scan else file

    really_open = io.open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(io, "open", failing_open)
        patch.setattr(builtins, "open", failing_open)
        try:
            told, found = "", read_scan(folder / name).volume.data
        except MachineError as error:
            told, found = str(error), None
    assert os.strerror(number) in told or np.array_equal(found, VOXELS)
