"""Training volumes in the memory of a device, and patches cut from them there."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.training.patches import PatchConfig
from inversesr.training.random import happens, integer
from inversesr.training.training_scan import TrainingScan

# Patches are cut about places of the head, found on every fourth voxel and moved by up to so many.
STRIDE, MOST_SHIFT = 4, 12


@dataclass(frozen=True, eq=False)
class DeviceVolume:
    """A volume on a device.

    Attributes:
        voxels: Intensities (uint8) or labels (int16), shape (X, Y, Z).
        white: Intensity that counts as one.
        sharp_axes: Axes that may be the last one of a patch.
        places: Voxels that are no background, shape (N, 3), on the processor.
    """

    voxels: Tensor
    white: float
    sharp_axes: tuple[int, ...]
    places: Tensor


def to_device(scan: TrainingScan, device: torch.device) -> DeviceVolume:
    """Move a scan to a device; where its head lies is looked up before."""
    coarse = scan.voxels[::STRIDE, ::STRIDE, ::STRIDE]
    places = STRIDE * torch.nonzero(coarse > 0.05 * scan.white)
    if not len(places):
        places = torch.tensor([[n // 2 for n in scan.voxels.shape]])
    return DeviceVolume(scan.voxels.to(device), scan.white, scan.sharp_axes, places)


def cut_patch(
    volume: DeviceVolume, shape: tuple[int, int, int], generator: torch.Generator
) -> Tensor:
    """Cut a patch about a place of the head, a sharp axis last, turned and mirrored at random.

    Args:
        volume: What to cut from.
        shape: Lengths of the patch; zeros follow where the volume is too short.
        generator: Source of randomness, on the processor: nothing waits for the device.
    """
    last = volume.sharp_axes[integer(len(volume.sharp_axes), generator)]
    others = [axis for axis in range(3) if axis != last]
    if happens(0.5, generator):
        others.reverse()
    order = (*others, last)
    place = volume.places[integer(len(volume.places), generator)].tolist()
    patch = volume.voxels
    for axis, length in zip(order, shape, strict=True):
        shift = integer(2 * MOST_SHIFT + 1, generator) - MOST_SHIFT
        most = max(0, patch.shape[axis] - length)
        start = min(max(place[axis] - length // 2 + shift, 0), most)
        patch = patch.narrow(axis, start, min(length, patch.shape[axis]))
    patch = patch.permute(order)
    patch = patch.flip([axis for axis in range(3) if happens(0.5, generator)])
    if tuple(patch.shape) == shape:
        return patch
    whole = patch.new_zeros(shape)
    whole[tuple(slice(0, n) for n in patch.shape)] = patch
    return whole


def cut_patches(
    volumes: Sequence[DeviceVolume], config: PatchConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a batch: patches of images and patches of labels.

    Args:
        volumes: Images and label maps.
        config: How many patches, of what shape, and the share of painted ones.
        generator: Source of randomness, on the processor.

    Returns:
        Intensities about [0, 1], shape (N, X, Y, Z), and labels, shape (M, X, Y, Z), both on the
        device; N + M patches in all.
    """
    by_kind = {
        is_labels: [v for v in volumes if (v.voxels.dtype == torch.int16) == is_labels]
        for is_labels in (False, True)
    }
    cut: dict[bool, list[Tensor]] = {False: [], True: []}
    for _ in range(config.n_patches):
        wanted = happens(config.synthetic, generator)
        is_labels = wanted if by_kind[wanted] else not wanted
        volume = by_kind[is_labels][integer(len(by_kind[is_labels]), generator)]
        patch = cut_patch(volume, config.shape, generator)
        cut[is_labels].append(patch if is_labels else patch.float() / volume.white)
    device = volumes[0].voxels.device
    empty = torch.zeros((0, *config.shape), device=device)
    images = torch.stack(cut[False]) if cut[False] else empty
    labels = torch.stack(cut[True]).long() if cut[True] else empty.long()
    return images, labels
