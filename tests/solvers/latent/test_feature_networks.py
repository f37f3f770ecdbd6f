import pytest
import torch
from torch import nn

from inversesr.errors import InputError
from inversesr.priors.tensors import save_tensors
from inversesr.solvers.latent.feature_networks import VGG_STAGES, VGG_WIDTHS, load_features
from tests.support.laws import normal

CPU = torch.device("cpu")


def vgg_tensors(lins=False):
    """Random weights under torchvision's names."""
    found, before, seed, index = {}, 3, 0, 0
    for n, width in zip(VGG_STAGES, VGG_WIDTHS, strict=True):
        for _ in range(n):
            weight = normal((width, before, 3, 3), seed).float() / (9 * before) ** 0.5
            found[f"features.{index:02d}.weight"] = weight
            found[f"features.{index:02d}.bias"] = 0.1 * normal((width,), seed + 1).float()
            before, seed, index = width, seed + 2, index + 1
    if lins:
        for stage, width in enumerate(VGG_WIDTHS):
            found[f"lin{stage}.model.1.weight"] = torch.full((1, width, 1, 1), 4.0)
    return found


def saved(tmp_path, tensors):
    save_tensors(tmp_path / "net.safetensors", tensors)
    return load_features(tmp_path / "net.safetensors", CPU)


def test_vgg_has_five_stages_of_unit_length(tmp_path):
    network = saved(tmp_path, vgg_tensors())
    found = network(torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert network.is_planar
    assert [f.shape[1] for f in found] == list(VGG_WIDTHS)
    assert [f.shape[2] for f in found] == [32, 16, 8, 4, 2]
    for f in found:
        assert torch.allclose(f.norm(dim=1), torch.ones(()), atol=1e-4)


def test_weights_of_lpips_scale_the_channels(tmp_path):
    images = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    plain = saved(tmp_path, vgg_tensors())(images)
    weighted = saved(tmp_path, vgg_tensors(lins=True))(images)
    for a, b in zip(plain, weighted, strict=True):
        assert torch.allclose(2.0 * a, b, atol=1e-5)


class Stem(nn.Module):
    """The first layers of a MedicalNet ResNet-10, as published."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv3d(1, 8, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm3d(8)
        block = nn.Module()
        block.conv1, block.bn1 = nn.Conv3d(8, 8, 3, padding=1, bias=False), nn.BatchNorm3d(8)
        block.conv2, block.bn2 = nn.Conv3d(8, 8, 3, padding=1, bias=False), nn.BatchNorm3d(8)
        self.layer1 = nn.ModuleList([block])

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        block, y = self.layer1[0], nn.functional.max_pool3d(x, 3, 2, 1)
        h = torch.relu(block.bn1(block.conv1(y)))
        return x, torch.relu(block.bn2(block.conv2(h)) + y)


def test_medicalnet_gives_its_stem_and_first_stage(tmp_path):
    stem = Stem().eval()
    named = {f"module.{name}": t for name, t in stem.state_dict().items()}
    network = saved(tmp_path, {n: t for n, t in named.items() if t.is_floating_point()})
    volume = torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = stem((volume - volume.mean()) / volume.std())
        found = network(volume)
    assert not network.is_planar
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, nn.functional.normalize(b[0], dim=0, eps=1e-6), atol=1e-5)


def test_anything_else_is_refused(tmp_path):
    with pytest.raises(InputError, match="no VGG-16"):
        saved(tmp_path, {"linear.weight": torch.zeros(3, 3)})
