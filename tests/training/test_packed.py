import numpy as np
import pytest
import torch

from inversesr.errors import InputError
from inversesr.training.packed import is_pack, names_in, read_packed, write_pack
from inversesr.training.scans import find_scans, read_scan, split_held_out
from inversesr.training.training_scan import TrainingScan


@pytest.fixture
def scans():
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 256, (9, 10, 11)).astype(np.uint8))
    labels = torch.from_numpy(rng.integers(0, 1000, (8, 9, 10)).astype(np.int16))
    return [
        TrainingScan("sub-01_T1w", image, 255.0, (0, 1), 0.8),
        TrainingScan("sub-02_dseg", labels, 1.0, (0, 1, 2), 1.0),
    ]


@pytest.fixture
def pack(scans, tmp_path):
    path = tmp_path / "train.pack"
    assert write_pack(scans, path) == path.stat().st_size
    return path


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_intensities_come_back_to_the_bits_that_were_kept_and_labels_exactly(
    scans, tmp_path, bits
):
    path = tmp_path / "train.pack"
    write_pack(scans, path, bits)
    image, labels = (read_packed(path, name) for name in names_in(path))
    assert torch.equal(labels.voxels, scans[1].voxels)
    before, after = scans[0].voxels.float() / 255.0, image.voxels.float() / image.white
    assert float((before - after).abs().max()) <= 1.0 / 2**bits + 1e-6
    assert float(after.max()) == 1.0
    assert (image.sharp_axes, image.spacing_mm) == ((0, 1), 0.8)
    assert (labels.is_labels, image.is_labels) == (True, False)


def test_a_pack_is_read_like_a_folder(pack):
    paths = find_scans([pack])
    assert [path.name for path in paths] == ["sub-01_T1w", "sub-02_dseg"]
    assert read_scan(paths[1]).is_labels
    train, kept = split_held_out([pack], ["sub-02"])
    assert ([p.name for p in train], [p.name for p in kept]) == (["sub-01_T1w"], ["sub-02_dseg"])


@pytest.mark.parametrize("damage", ["no archive", "cut", "changed"])
def test_a_damaged_pack_is_refused_in_a_sentence(pack, damage):
    content = bytearray(pack.read_bytes())
    if damage == "changed":
        content[len(content) // 3] ^= 255
    pack.write_bytes(b"text" if damage == "no archive" else content[: len(content) // 2]
                     if damage == "cut" else content)  # fmt: skip
    with pytest.raises(InputError, match=r"is no readable pack .* make it again"):
        read_scan(pack / "sub-01_T1w")


@pytest.mark.parametrize(
    ("name", "bits", "sentence"),
    [("a.zip", 6, r"ends in \.pack"), ("a.pack", 3, "--bits is 3; expected 4 to 8")],
)
def test_what_no_pack_can_be_is_refused_and_nothing_is_written(
    scans, tmp_path, name, bits, sentence
):
    with pytest.raises(InputError, match=sentence):
        write_pack(scans, tmp_path / name, bits)
    assert not list(tmp_path.iterdir())


def test_a_pack_that_was_not_finished_leaves_nothing(scans, tmp_path):
    def fail():
        yield scans[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pack(fail(), tmp_path / "a.pack")
    assert not list(tmp_path.iterdir())
    assert not is_pack(tmp_path / "a.pack")
