import json
from hashlib import sha256

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from inversesr.acquisition.brain_network import (
    CARD_NAME,
    WEIGHTS_NAME,
    apply_network,
    brain_probability,
    build_network,
    load_network,
    normalised,
    resampling,
)
from inversesr.errors import MachineError


class Identity(nn.Module):
    """Stands in for the network: its logits are the image."""

    def forward(self, x):
        return x


def test_the_unit_and_the_offset_of_the_intensities_do_not_matter():
    image = torch.rand((9, 10, 11), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(normalised(image), normalised(3000.0 + 40.0 * image))
    assert normalised(image).min() == 0.0
    assert normalised(image).max() == 1.0
    assert torch.equal(normalised(torch.full((4, 4, 4), 7.0)), torch.zeros((4, 4, 4)))


@pytest.mark.parametrize("shape", [(16, 8, 24), (13, 9, 2)])
def test_any_shape_comes_back_as_it_was(shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(apply_network(Identity(), image), image)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.9, 0.9, 5.5), (3.0, 4.0, 2.0)])
def test_resampling_keeps_straight_lines_to_a_tenth_of_a_millimetre(spacing_mm):
    shape = (60, 50, 30)
    coarse = tuple(round(n * s / 3.0) for n, s in zip(shape, spacing_mm, strict=True))
    lines = [
        np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(ns, ss, strict=True)],
                    indexing="ij")
        for ns, ss in ((shape, spacing_mm), (coarse, (3.0,) * 3))
    ]  # fmt: skip
    there = resampling(shape, spacing_mm, coarse, (3.0,) * 3)
    for before, after in zip(*lines, strict=True):
        found = there(torch.from_numpy(before)).numpy()
        inner = tuple(slice(3, -3) for _ in range(3))
        np.testing.assert_allclose(found[inner], after[inner], atol=0.1)


def test_a_constant_stays_what_it_is():
    there = resampling((20, 31, 7), (1.0, 0.7, 6.0), (7, 7, 14), (3.0,) * 3)
    torch.testing.assert_close(there(torch.ones(20, 31, 7)), torch.ones(7, 7, 14))


def test_probabilities_lie_where_the_image_is_bright():
    data = np.zeros((40, 44, 12), dtype=np.float32)
    data[10:30, 12:30, 3:9] = 100.0
    found = brain_probability(data, (2.0, 2.0, 6.0), Identity())
    assert found.shape == data.shape
    assert found[20, 20, 6] > 0.7
    assert found[2, 2, 1] == pytest.approx(0.5)


@pytest.fixture
def written(tmp_path):
    """A folder with a small network and its card."""
    network = build_network((4, 4, 4, 4))
    content = save(network.state_dict())
    (tmp_path / WEIGHTS_NAME).write_bytes(content)
    card = {"sha256": sha256(content).hexdigest(), "channels": [4, 4, 4, 4]}
    (tmp_path / CARD_NAME).write_text(json.dumps(card))
    return tmp_path, network


def test_a_network_is_loaded_as_it_was_saved_and_cannot_change(written):
    folder, network = written
    found = load_network(folder)
    assert not found.training
    assert not any(weight.requires_grad for weight in found.parameters())
    image = torch.rand((9, 10, 11), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(apply_network(found, image), apply_network(network.eval(), image))


@pytest.mark.parametrize("fault", ["no weights", "other weights", "no card", "empty card"])
def test_a_network_that_is_damaged_is_a_fault_of_the_machine(written, fault):
    folder, _ = written
    card, weights = folder / CARD_NAME, folder / WEIGHTS_NAME
    if fault == "other weights":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif fault == "empty card":
        card.write_text("{}")
    else:
        (weights if fault == "no weights" else card).unlink()
    with pytest.raises(MachineError, match="pip install --force-reinstall inversesr"):
        load_network(folder)
