import pytest
import torch

from inversesr.training.patches import PatchConfig, cut, draw_batch, draw_patch, orient
from inversesr.training.training_scan import TrainingScan


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def coded_scan(sharp_axes):
    """A scan whose voxels say where they are: x, then y in tens, then z in hundreds."""
    x, y, z = torch.meshgrid(*[torch.arange(4, dtype=torch.int16) for _ in "xyz"], indexing="ij")
    return TrainingScan("coded", x + 10 * y + 100 * z, 1.0, sharp_axes, 1.0)


@pytest.fixture
def scans():
    """An image and a label map."""
    image = torch.randint(1, 256, (10, 12, 34), generator=torch.Generator().manual_seed(1))
    labels = torch.full((10, 12, 34), 2, dtype=torch.int16)
    return [
        TrainingScan("sub-01_T1w", image.to(torch.uint8), 255.0, (2,), 1.0),
        TrainingScan("sub-01_dseg", labels, 1.0, (0, 1, 2), 1.0),
    ]


def test_only_a_sharp_axis_comes_last(generator):
    scan = coded_scan((0, 1))
    for _ in range(20):
        steps = {abs(int(step)) for step in orient(scan, generator).diff(dim=-1).flatten()}
        assert steps in ({1}, {10})


def test_every_orientation_of_the_other_axes_is_drawn(generator):
    scan = coded_scan((0,))
    steps = {int(orient(scan, generator).diff(dim=0)[0, 0, 0]) for _ in range(60)}
    assert steps == {-100, -10, 10, 100}


def test_a_patch_larger_than_the_volume_is_filled_with_zeros(generator):
    patch = cut(torch.ones(3, 5, 9), (4, 4, 8), generator)
    assert patch.shape == (4, 4, 8)
    assert float(patch.sum()) == 3 * 4 * 8


def test_a_patch_of_an_image_is_not_painted(scans, generator):
    config = PatchConfig(shape=(8, 8, 16), synthetic=0.0)
    patch = draw_patch(scans, config, generator)
    assert patch.shape == (8, 8, 16)
    # noise in the image stays noise, while one label paints to something nearly flat
    assert float(patch.std()) > 0.1


def test_a_patch_of_labels_is_painted(scans, generator):
    config = PatchConfig(shape=(8, 8, 16), synthetic=1.0)
    assert draw_patch(scans, config, generator).unique().numel() > 100


def test_a_folder_of_images_alone_will_do(scans, generator):
    config = PatchConfig(shape=(8, 8, 16), synthetic=1.0)
    assert float(draw_patch(scans[:1], config, generator).std()) > 0.1


def test_the_same_seed_draws_the_same_batch(scans):
    config = PatchConfig(shape=(8, 8, 32), n_patches=2)
    first, second = (draw_batch(scans, config, torch.Generator().manual_seed(5)) for _ in "ab")
    assert torch.equal(first.start, second.start)
    assert first.truth.shape == (2, 1, 8, 8, 32)
    assert first.null.shape == (2, 32, 32)
