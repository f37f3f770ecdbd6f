import math

import pytest
import torch

from inversesr.training.degradation import DegradationConfig
from inversesr.training.device_batches import batches_on, made_on_device, make_pool, measured
from inversesr.training.patches import PatchConfig, draw_batch
from inversesr.training.training_scan import TrainingScan
from tests.support.problems import one_thread  # noqa: F401  (a fixture)

CPU = torch.device("cpu")
CONFIG = PatchConfig(shape=(16, 24, 32), n_patches=4, synthetic=0.5)


@pytest.fixture(scope="module")
def scans():
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(1, 256, (20, 30, 40), generator=generator).to(torch.uint8)
    labels = torch.randint(0, 60, (24, 26, 40), generator=generator).to(torch.int16)
    return [
        TrainingScan("sub-01_T1w", image, 255.0, (2,), 1.0),
        TrainingScan("sub-01_dseg", labels, 1.0, (0, 1, 2), 1.0),
    ]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_a_batch_is_one_that_the_stages_train_on(scans, generator):
    batch = made_on_device(scans, CONFIG, CPU)(generator)
    like = draw_batch(scans, CONFIG, generator)
    for name, value in vars(like).items():
        found = getattr(batch, name)
        assert (found.shape, found.dtype) == (value.shape, value.dtype), name
        assert bool(found.isfinite().all()), name


def test_what_is_measured_of_a_batch_is_consistent_with_it(generator):
    """Without noise what the slices show of the truth is what they show of the start."""
    config = DegradationConfig(noisy=0.0)
    pool = make_pool(config, 32, CPU, 8)
    truth = torch.rand((6, 4, 5, 32), generator=generator)
    batch = measured(truth, pool, config, generator)
    torch.testing.assert_close(
        batch.make_consistent(batch.truth), batch.truth, atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(
        batch.make_consistent(batch.start), batch.start, atol=1e-4, rtol=1e-4
    )
    twice = batch.unseen(batch.unseen(truth[:, None]))
    torch.testing.assert_close(twice, batch.unseen(truth[:, None]), atol=1e-4, rtol=1e-4)


def test_noise_is_of_the_size_that_the_batch_says(generator):
    config = DegradationConfig(noisy=1.0, max_noise=0.05)
    pool = make_pool(config, 32, CPU, 4)
    truth = torch.full((3, 40, 40, 32), 0.7)
    noisy = measured(truth, pool, config, generator)
    # interpolation between slices averages their noise a little
    ratio = noisy.start.std(dim=(1, 2, 3, 4)) / noisy.noise
    assert bool((noisy.noise > 0.0).all())
    assert 0.4 < float(ratio.min()) <= float(ratio.max()) < 1.3


def test_the_same_state_gives_the_same_batch_and_another_one_another(scans):
    draw = made_on_device(scans, CONFIG, CPU)
    first, again, other = (draw(torch.Generator().manual_seed(seed)).truth for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_on_the_processor_batches_are_drawn_patch_by_patch_as_ever(scans):
    found = batches_on(scans, CONFIG, CPU)(torch.Generator().manual_seed(5))
    expected = draw_batch(scans, CONFIG, torch.Generator().manual_seed(5))
    assert torch.equal(found.truth, expected.truth)


def test_geometries_of_the_pool_lie_in_the_range_that_was_asked_for():
    config = DegradationConfig(min_thickness=3.0, max_thickness=5.0, max_gap=0.2)
    pool = make_pool(config, 48, CPU, 64)
    thickness, spacing = pool.slices[:, 0], pool.slices[:, 1]
    assert 3.0 <= float(thickness.min()) < 3.3
    assert 4.7 < float(thickness.max()) <= 5.0
    assert float((spacing / thickness).max()) <= 1.0 / 0.8 + 1e-6
    # a row of a slice adds up to one; one of padding to nothing
    sums = pool.A.sum(dim=2)
    assert all(math.isclose(s, 1.0, abs_tol=1e-4) or s == 0.0 for s in sums.flatten().tolist())


@pytest.mark.gpu
def test_a_batch_is_made_on_a_gpu(scans, generator):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    batch = made_on_device(scans, CONFIG, torch.device("cuda"))(generator)
    assert batch.start.is_cuda
    assert bool(batch.start.isfinite().all())
