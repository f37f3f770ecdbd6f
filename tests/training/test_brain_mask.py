import json

import nibabel
import numpy as np
import pytest
import torch
from torch import nn

from inversesr.acquisition.brain_network import (
    CARD_NAME,
    WEIGHTS_NAME,
    brain_probability,
    load_network,
)
from inversesr.training.brain_mask import (
    BrainMaskConfig,
    mask_loss,
    predict,
    train_brain_mask,
    validate,
)
from inversesr.training.head_examples import HeadConfig, HeadExample
from inversesr.training.loop import LoopConfig
from tests.training.test_brain_labels import ball_labels

SMALL = BrainMaskConfig(
    channels=(4, 4, 4, 4),
    heads=HeadConfig(shape=(32, 32, 32)),
    schedule=LoopConfig(n_steps=3, n_warm_up=1, log_every=1, validate_every=3),
    held_out=("b_seg",),
)


class Scaled(nn.Module):
    """Logits are the image times a factor, less a half of it."""

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return self.factor * (x - 0.5)


@pytest.fixture
def data_dir(tmp_path):
    labels, _ = ball_labels()
    for name in ("a_seg", "b_seg"):
        image = nibabel.Nifti1Image(labels, np.diag([4.0, 4.0, 4.0, 1.0]))
        nibabel.save(image, tmp_path / f"{name}.nii.gz")
    return tmp_path


def example():
    mask = torch.zeros((1, 1, 8, 8, 8))
    mask[..., 2:6] = 1.0
    return HeadExample(mask.clone(), mask)


def test_the_loss_falls_as_the_mask_gets_right():
    right, unsure, wrong = (
        mask_loss(Scaled(f), example(), torch.float32).item() for f in (20.0, 0.0, -20.0)
    )
    assert right < 0.01
    assert unsure == pytest.approx(np.log(2.0) + 0.5, rel=1e-3)
    assert wrong > 2.0


def test_validation_tells_mean_and_least_overlap():
    half = HeadExample(example().image, torch.ones((1, 1, 8, 8, 8)))
    found = validate(Scaled(1.0), [example(), half], torch.float32)
    assert found["dice"] == pytest.approx((1.0 + 2.0 / 3.0) / 2.0)
    assert found["least_dice"] == pytest.approx(2.0 / 3.0)
    assert validate(Scaled(1.0), [], torch.float32) == {}


def test_what_is_trained_can_be_loaded_as_the_network_of_the_package(data_dir, tmp_path):
    run_dir = tmp_path / "runs"
    trained = train_brain_mask([data_dir], SMALL, run_dir, resume=False)
    card = json.loads((run_dir / CARD_NAME).read_text())
    assert (card["channels"], card["held_out"]) == ([4, 4, 4, 4], ["b_seg"])
    assert (run_dir / WEIGHTS_NAME).is_file()
    network = load_network(run_dir)
    image = torch.rand((1, 1, 16, 16, 16), generator=torch.Generator().manual_seed(0))
    expected = predict(trained, image, torch.float32)
    torch.testing.assert_close(network(image), expected, rtol=0.05, atol=0.05)
    table = (run_dir / "validation.csv").read_text().splitlines()
    assert table[0] == "step,dice,least_dice"


@pytest.mark.slow
def test_it_learns_to_find_a_ball_in_a_skull(data_dir, tmp_path):
    heads = HeadConfig(shape=(64, 64, 64), cropped=0.0)
    config = BrainMaskConfig(
        channels=(8, 8, 8, 8),
        heads=heads,
        schedule=LoopConfig(n_steps=80, n_warm_up=10, learning_rate=5e-3, ema_decay=0.9),
    )
    network = train_brain_mask([data_dir], config, tmp_path / "runs", resume=False)
    labels, radius = ball_labels()
    image = np.select([labels == 2, labels == 24, labels == 515], [80.0, 30.0, 15.0], 0.0)
    noisy = image + np.random.default_rng(0).uniform(0.0, 4.0, image.shape)
    found = brain_probability(noisy.astype(np.float32), (4.0, 4.0, 4.0), network) > 0.5
    inside = (radius <= 49) & (radius > 8)
    assert 2 * (found & inside).sum() / (found.sum() + inside.sum()) > 0.85
