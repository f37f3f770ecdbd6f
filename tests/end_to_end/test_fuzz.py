"""Whatever bytes and options `run` is given, it succeeds or says why not in one sentence."""

import gzip
import json
import random
from contextlib import suppress

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inversesr.acquisition.geometry import describe_acquisition, fine_grid, forward_operator
from inversesr.config import Config, SimulateConfig
from inversesr.errors import InputError
from inversesr.io.nifti import read_scan, to_image

N_EXAMPLES = 2000
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
    assert "\n" not in sentence


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
