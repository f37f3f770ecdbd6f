"""The autoencoder of MAISI as MONAI's AutoencoderKL: all is the same but how it upsamples.

MONAI's own class for it cuts images into parts and rounds to half precision to save memory on a
GPU. Built from the plain class, it is exact and takes part in all that saves memory here.

Reference: Guo, Zhao, Yang, et al. (2025), MAISI: medical AI for synthetic imaging,
arXiv:2409.11169.
"""

from typing import Any

from torch import nn


def build_maisi_autoencoder(**arguments: Any) -> nn.Module:  # noqa: ANN401  (of AutoencoderKL)
    """Build the network from the arguments of AutoencoderKL, with trilinear upsampling."""
    from monai.networks.nets import AutoencoderKL

    network: nn.Module = AutoencoderKL(**arguments)
    for module in network.modules():
        if isinstance(module, nn.Upsample):
            module.mode = "trilinear"
            module.align_corners = False
    return network
