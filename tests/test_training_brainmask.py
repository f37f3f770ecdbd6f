from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.brainmask import BrainMaskNet
from inversesr.priors.networks import load_network
from inversesr.training.brainmask import (
    BrainMaskConfig,
    brainmask_card,
    brainmask_loss,
    is_label_map,
    soft_dice,
    train_brainmask,
    validate,
    validation_examples,
)
from inversesr.training.heads import Example, Head, HeadConfig
from inversesr.training.loop import LoopConfig
from inversesr.training.warmstart import seed_weights

CONFIG = BrainMaskConfig(
    widths=(4, 4),
    n_blocks=(1, 1),
    heads=HeadConfig(shape=(16, 16, 16), shift_mm=(2.0, 2.0, 2.0)),
    schedule=LoopConfig(n_steps=2, n_warm_up=1, log_every=1, validate_every=2),
    held_out=("02",),
)


@pytest.fixture
def data_dir(tmp_path):
    labels = np.zeros((32, 32, 32), dtype=np.int16)
    labels[2:30, 4:28, 4:28] = 515
    labels[8:24, 8:24, 8:24] = 3
    for name in ("sub_01_seg", "sub_02_seg"):
        nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), tmp_path / f"{name}.nii.gz")
    image = nibabel.Nifti1Image(labels.astype(np.float32), np.eye(4))
    nibabel.save(image, tmp_path / "sub_03_T1w.nii.gz")
    return tmp_path


def sphere():
    """A bright ball in a darker one, both brighter than the background."""
    axes = torch.meshgrid(*[torch.arange(16.0) - 7.5] * 3, indexing="ij")
    distance = sum(a**2 for a in axes) ** 0.5
    brain = (distance < 5.0).float()
    image = 0.5 * brain + 0.5 * (distance < 7.0)
    return Example(image[None, None], brain[None, None], torch.ones((1, 1, 16, 16, 16)))


def test_training_runs_from_label_maps_to_averaged_weights(data_dir, tmp_path):
    net = train_brainmask([data_dir], CONFIG, tmp_path / "run", resume=False)
    assert net.head.weight.abs().max() > 0.0
    header, row = (tmp_path / "run" / "validation.csv").read_text().splitlines()
    assert header == "step,mean_dice,lowest_dice"
    assert all(0.0 <= float(value) <= 1.0 for value in row.split(",")[1:])


def test_the_card_of_the_network_builds_it_again_and_takes_its_weights():
    net = BrainMaskNet(CONFIG.widths, CONFIG.n_blocks)
    tensors = {name: tensor.half() for name, tensor in net.state_dict().items()}
    built = load_network(brainmask_card(CONFIG), tensors, partial=False)
    x = torch.rand((1, 1, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(built.float()(x), net(x), atol=1e-2)


def test_the_same_seed_trains_the_same_network(data_dir, tmp_path):
    nets = [train_brainmask([data_dir], CONFIG, tmp_path / name, resume=False) for name in "ab"]
    for first, second in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(first, second)


def test_a_finished_run_that_is_resumed_gives_the_same_weights_without_a_step(data_dir, tmp_path):
    nets = [
        train_brainmask([data_dir], CONFIG, tmp_path / "run", resume=resume)
        for resume in (False, True)
    ]
    for first, second in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(first, second)
    assert len((tmp_path / "run" / "losses.csv").read_text().splitlines()) == 3


def test_a_folder_without_label_maps_to_train_on_is_refused(data_dir, tmp_path):
    with pytest.raises(InputError, match="2 label maps were found and 2 are held out"):
        train_brainmask(
            [data_dir], replace(CONFIG, held_out=("sub",)), tmp_path / "run", resume=False
        )


def test_steps_along_the_gradient_lower_the_loss_on_one_sample():
    net = BrainMaskNet((8, 8), (1, 1))
    seed_weights(net, torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = brainmask_loss(net, sphere(), torch.float32)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert validate(net, [sphere()], torch.float32)["mean_dice"] > 0.9


def test_the_loss_ignores_what_was_not_scanned():
    net = BrainMaskNet((4,), (1,))
    torch.nn.init.constant_(net.head.bias, 0.3)
    example, scanned = sphere(), torch.ones((1, 1, 16, 16, 16))
    scanned[..., 8:] = 0.0
    wrong = example.brain.clone()
    wrong[..., 8:] = 1.0
    losses = [
        float(brainmask_loss(net, Example(example.image, brain, scanned), torch.float32).detach())
        for brain in (example.brain, wrong)
    ]
    assert losses[0] == losses[1]


def test_dice_is_one_for_equal_masks_and_small_for_disjoint_ones():
    first, second = torch.zeros(10, 10), torch.zeros(10, 10)
    first[:5], second[5:] = 1.0, 1.0
    assert float(soft_dice(first, first)) == 1.0
    assert float(soft_dice(first, second)) == pytest.approx(1.0 / 101.0)
    assert float(soft_dice(0 * first, 0 * first)) == 1.0


def test_held_out_heads_are_whole_and_the_same_in_every_run():
    labels = torch.full((32, 32, 32), 515, dtype=torch.int16)
    labels[8:24, 8:24, 8:24] = 1024 + 3
    head = Head(labels, (1.0, 1.0, 1.0), (15.5, 15.5, 15.5))
    first, second = (validation_examples([head, head], CONFIG) for _ in range(2))
    assert len(first) == 2 * CONFIG.n_validation
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.image, other.image)
        assert one.scanned.all()


@pytest.mark.parametrize(
    ("name", "expected"), [("a_seg_01.nii.gz", True), ("segment_T1w.nii", False)]
)
def test_label_maps_are_told_by_a_word_in_their_name(tmp_path, name, expected):
    assert is_label_map(tmp_path / name) == expected
