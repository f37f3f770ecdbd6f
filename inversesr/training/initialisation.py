"""Brings a new network to where its training begins."""

import math
from typing import TypeVar

import torch
from torch import nn

NetT = TypeVar("NetT", bound=nn.Module)
CONVOLUTIONS = nn.Conv2d | nn.ConvTranspose2d | nn.Conv3d | nn.ConvTranspose3d


def initialise(net: NetT, seed: int) -> NetT:
    """Draw the weights of a network and lay them out as convolutions like them; in place."""
    draw_weights(net, torch.Generator().manual_seed(seed))
    net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # no stub
    return net


def draw_weights(net: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights that are not meant to be zero from a generator."""
    for layer in net.modules():
        if isinstance(layer, CONVOLUTIONS | nn.Linear) and layer.weight.any():
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5.0), generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
