import pytest
import torch

from inversesr.training.device_volumes import cut_patch, cut_patches, to_device
from inversesr.training.patches import PatchConfig
from inversesr.training.training_scan import TrainingScan

CPU = torch.device("cpu")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def coded(sharp_axes, shape=(6, 6, 6)):
    """A volume whose voxels say where they are: x, then y in tens, then z in hundreds."""
    x, y, z = torch.meshgrid(*[torch.arange(n, dtype=torch.int16) for n in shape], indexing="ij")
    return to_device(TrainingScan("coded", x + 10 * y + 100 * z, 1.0, sharp_axes, 1.0), CPU)


def test_only_a_sharp_axis_comes_last(generator):
    volume = coded((0, 1))
    for _ in range(20):
        patch = cut_patch(volume, (4, 4, 4), generator)
        assert {abs(int(step)) for step in patch.diff(dim=-1).flatten()} in ({1}, {10})


def test_every_orientation_of_the_other_axes_is_drawn(generator):
    steps = {
        int(cut_patch(coded((0,)), (4, 4, 4), generator).diff(dim=0)[0, 0, 0]) for _ in range(60)
    }
    assert steps == {-100, -10, 10, 100}


def test_a_patch_larger_than_the_volume_is_filled_with_zeros(generator):
    ones = TrainingScan("a", torch.ones((3, 5, 9), dtype=torch.uint8), 1.0, (2,), 1.0)
    patch = cut_patch(to_device(ones, CPU), (6, 6, 8), generator)
    assert patch.shape == (6, 6, 8)
    assert float(patch.sum()) == 3 * 5 * 8


def test_patches_lie_about_the_head(generator):
    voxels = torch.zeros((96, 96, 96), dtype=torch.uint8)
    voxels[70:90, 70:90, 70:90] = 255
    volume = to_device(TrainingScan("a", voxels, 255.0, (0, 1, 2), 1.0), CPU)
    filled = [float(cut_patch(volume, (24, 24, 24), generator).max()) for _ in range(50)]
    assert min(filled) == 255.0


@pytest.mark.parametrize("synthetic", [0.0, 1.0])
def test_the_share_of_labels_is_that_of_the_config(generator, synthetic):
    image = TrainingScan("a", torch.full((9, 9, 9), 51, dtype=torch.uint8), 255.0, (2,), 1.0)
    labels = TrainingScan("b", torch.full((9, 9, 9), 17, dtype=torch.int16), 1.0, (2,), 1.0)
    volumes = [to_device(scan, CPU) for scan in (image, labels)]
    config = PatchConfig(shape=(8, 8, 8), n_patches=5, synthetic=synthetic)
    images, painted = cut_patches(volumes, config, generator)
    assert (len(images), len(painted)) == ((5, 0), (0, 5))[int(synthetic)]
    torch.testing.assert_close(images, torch.full_like(images, 0.2))
    assert bool((painted == 17).all())


def test_where_there_are_no_labels_all_patches_are_images(generator):
    image = TrainingScan("a", torch.full((9, 9, 9), 51, dtype=torch.uint8), 255.0, (2,), 1.0)
    config = PatchConfig(shape=(8, 8, 8), n_patches=3, synthetic=1.0)
    images, painted = cut_patches([to_device(image, CPU)], config, generator)
    assert (len(images), len(painted)) == (3, 0)
