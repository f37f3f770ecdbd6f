import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.kspace.formats import read_kspace
from tests.support.raw_data import header, readout, save_ismrmrd

RNG = np.random.default_rng(0)
NOISE_FLAG, REVERSE_FLAG, NAVIGATOR_FLAG = 1 << 18, 1 << 21, 1 << 22


def data(*shape):
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(np.complex64)


def lines(array, **facts):
    """One readout a phase step of an array of coils, x and y."""
    steps = range(array.shape[2])
    return [readout(array[:, :, y], kspace_encode_step_1=y, **facts) for y in steps]


def test_readouts_come_to_their_places(tmp_path):
    array = data(3, 8, 14)
    kspace = read_kspace(save_ismrmrd(tmp_path / "k.h5", header(), lines(array)[::2]))
    assert np.array_equal(kspace.samples[:, :, ::2, 0], array[:, :, ::2])
    assert kspace.acceleration == 2.0
    assert kspace.encoded == (0, 1)


def test_voxels_lie_where_the_header_of_the_readouts_says(tmp_path):
    facts = {"position": (10, 20, 30), "read_dir": (0, 1, 0), "phase_dir": (1, 0, 0),
             "slice_dir": (0, 0, -1)}  # fmt: skip
    path = save_ismrmrd(tmp_path / "k.h5", header(), lines(data(2, 8, 14), **facts))
    grid = read_kspace(path).grid
    assert grid.spacing_mm == pytest.approx((2.0, 2.0, 5.0))
    # the middle voxel, left and back turned round
    assert grid.affine @ [4, 7, 0, 1] == pytest.approx([-10, -20, 30, 1])
    assert grid.axcodes == "PLI"


def test_slices_follow_one_another_at_their_distance(tmp_path):
    records = [
        line for n in range(3) for line in lines(data(2, 8, 14), slice=n, position=(0, 0, 6.5 * n))
    ]
    kspace = read_kspace(save_ismrmrd(tmp_path / "k.h5", header(), records))
    assert kspace.shape == (8, 14, 3)
    assert kspace.grid.spacing_mm[2] == pytest.approx(6.5)


def test_an_oversampled_readout_is_cut_afterwards(tmp_path):
    path = save_ismrmrd(tmp_path / "k.h5", header(x=16, recon_x=8), lines(data(2, 16, 14)))
    kspace = read_kspace(path)
    assert kspace.shape == (16, 14, 1)
    assert kspace.image_shape == (8, 14, 1)
    assert kspace.grid.shape == (8, 14, 1)


def test_noise_scans_navigators_and_averages_are_told_apart(tmp_path):
    array, noise = data(2, 8, 14), data(2, 30)
    records = [
        readout(noise, flags=NOISE_FLAG),
        readout(data(2, 8), flags=NAVIGATOR_FLAG),
        *lines(array, average=0),
        *lines(3 * array, average=1),
    ]
    kspace = read_kspace(save_ismrmrd(tmp_path / "k.h5", header(), records))
    assert np.allclose(kspace.samples[..., 0], 2 * array, atol=1e-5)
    assert np.array_equal(kspace.noise, noise)


def test_a_partial_echo_and_a_reversed_readout_keep_k_0_in_the_middle(tmp_path):
    line = data(2, 8)
    records = [
        readout(line[:, 3:], kspace_encode_step_1=7, center_sample=1),
        readout(line[:, ::-1], kspace_encode_step_1=8, center_sample=3, flags=REVERSE_FLAG),
    ]
    kspace = read_kspace(save_ismrmrd(tmp_path / "k.h5", header(), records))
    assert np.array_equal(kspace.samples[:, 3:, 7, 0], line[:, 3:])
    assert np.array_equal(kspace.samples[:, :, 8, 0], line)


def test_the_first_of_several_repetitions_is_taken_and_that_is_said(tmp_path):
    first, second = data(2, 8, 14), data(2, 8, 14)
    records = [*lines(first, repetition=0), *lines(second, repetition=1)]
    kspace = read_kspace(save_ismrmrd(tmp_path / "k.h5", header(), records))
    assert np.array_equal(kspace.samples[..., 0], first)
    assert kspace.warnings == ("the file holds 2 images by repetition: the first is used",)


def test_the_first_of_several_encodings_is_taken_and_that_is_said(tmp_path):
    first, second = data(2, 8, 14), data(2, 8, 14)
    records = [*lines(first), *lines(second, encoding_space_ref=1)]
    kspace = read_kspace(save_ismrmrd(tmp_path / "k.h5", header(), records))
    assert np.array_equal(kspace.samples[..., 0], first)
    assert kspace.warnings == ("the file holds images of 2 encodings: only the first is used",)


@pytest.mark.parametrize(
    ("xml", "records", "words"),
    [
        (header(trajectory="radial"), lines(data(2, 8, 14)), "radial trajectory.*BART"),
        (header(), [*lines(data(2, 8, 5)), *lines(data(3, 8, 5))], "2 to 3 coils"),
        (header(), [readout(data(2, 8), flags=NOISE_FLAG)], "no readout"),
        (header(y=4, centre=2), lines(data(2, 8, 14)), "header is of another scan"),
    ],
)
def test_what_cannot_be_one_image_is_refused(tmp_path, xml, records, words):
    with pytest.raises(InputError, match=words):
        read_kspace(save_ismrmrd(tmp_path / "k.h5", xml, records))


def test_a_file_of_the_reference_library_is_read(tmp_path):
    ismrmrd = pytest.importorskip("ismrmrd")
    array = data(2, 8, 14)
    dataset = ismrmrd.Dataset(str(tmp_path / "k.h5"), create_if_needed=True)
    dataset.write_xml_header(header().encode())
    for y in range(14):
        line = ismrmrd.Acquisition.from_array(array[:, :, y])
        line.idx.kspace_encode_step_1, line.center_sample = y, 4
        dataset.append_acquisition(line)
    dataset.close()
    assert np.array_equal(read_kspace(tmp_path / "k.h5").samples[..., 0], array)


def test_a_readout_that_was_cut_off_is_refused(tmp_path):
    records = lines(data(2, 8, 14))
    records[3]["head"]["number_of_samples"] = 9
    with pytest.raises(InputError, match="has 16 samples; expected 9 of each of 2 coils"):
        read_kspace(save_ismrmrd(tmp_path / "k.h5", header(), records))
