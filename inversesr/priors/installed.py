"""A prior that is opened once and handed on: its card, and its networks as they are needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch

from inversesr.priors.card import PriorCard, read_card
from inversesr.priors.denoiser_inputs import scaled_variables
from inversesr.priors.latent_diffusion import LatentDiffusionPrior
from inversesr.priors.loading import load_prior
from inversesr.priors.networks.conditional_denoiser import ConditionalDenoiser, load_conditional
from inversesr.priors.networks.error_net import ErrorNet, load_error_net
from inversesr.priors.networks.image_denoiser import ImageDenoiser, load_image_denoiser
from inversesr.priors.networks.unet import SuperResolutionUNet, load_unet
from inversesr.priors.store import CARD_NAME, digest, find_prior


@dataclass(frozen=True, eq=False)
class OpenPrior:
    """A prior in use. Each network is read and checked once.

    Attributes:
        name: Name or folder, as it was given.
        card: What `prior.json` says.
        folder: Where its files are; None for a prior that was made in memory.
        given: The latent diffusion model, where it was made in memory.
    """

    name: str
    card: PriorCard
    folder: Path | None = None
    given: LatentDiffusionPrior | None = None
    _loaded: dict[tuple[str, torch.device], Any] = field(default_factory=dict, repr=False)

    @cached_property
    def sha256(self) -> str | None:
        """Hash of its card, which holds those of its files; None without files."""
        return None if self.folder is None else digest(self.folder / CARD_NAME)

    def unet(self, device: torch.device) -> SuperResolutionUNet:
        """Return the super-resolution U-Net.

        Raises:
            InputError: the prior has none, or its file is missing or damaged.
        """
        return cast(SuperResolutionUNet, self._once("unet", device, load_unet))

    def image_denoiser(self, device: torch.device) -> ImageDenoiser:
        """Return the denoiser of complex slices.

        Raises:
            InputError: the prior has none, or its file is missing or damaged.
        """
        return cast(ImageDenoiser, self._once("image-denoiser", device, load_image_denoiser))

    def conditional(self, device: torch.device) -> ConditionalDenoiser:
        """Return the denoiser that is told what the slices show.

        Raises:
            InputError: the prior has none, or its file is missing or damaged.
        """
        return cast(ConditionalDenoiser, self._once("conditional", device, load_conditional))

    def error_net(self, device: torch.device) -> ErrorNet | None:
        """Return the network that estimates errors, or None.

        Raises:
            InputError: its file is missing or damaged.
        """
        if self.folder is None:
            return None
        return cast(ErrorNet | None, self._once("error", device, load_error_net))

    def diffusion(self, device: torch.device) -> LatentDiffusionPrior:
        """Return the latent diffusion model.

        Raises:
            InputError: a file is missing, damaged, or not what the card says.
        """
        loaded = self.given or cast(
            LatentDiffusionPrior, self._once("diffusion", device, load_prior)
        )
        return loaded if loaded.card == self.card else replace(loaded, card=self.card)

    def told(self, known: Mapping[str, float]) -> "OpenPrior":
        """Return this prior with what is known of a subject in place of the defaults.

        Args:
            known: Conditioning variables in their natural units, as `prior.json` names them.

        Raises:
            InputError: the prior has no such variable, or a value is out of its range.
        """
        # checks them
        scaled_variables(self.card, known, torch.device("cpu"))
        given = self.card.conditioning
        variables = tuple(
            replace(v, default=known.get(v.name, v.default)) for v in given.variables
        )
        card = replace(self.card, conditioning=replace(given, variables=variables))
        return replace(self, card=card)

    def _once(self, role: str, device: torch.device, load: Any) -> Any:  # noqa: ANN401
        key = (role, device)
        if key not in self._loaded:
            self._loaded[key] = load(self.folder or self.name, device)
        return self._loaded[key]


def open_prior(prior: "str | Path | OpenPrior | LatentDiffusionPrior") -> OpenPrior:
    """Return a prior that solvers can use.

    Args:
        prior: Name of an installed prior, its folder, or a prior that is open or in memory.

    Raises:
        InputError: there is no such prior, or its card cannot be read.
    """
    if isinstance(prior, OpenPrior):
        return prior
    if isinstance(prior, LatentDiffusionPrior):
        return OpenPrior(prior.card.name, prior.card, given=prior)
    folder = find_prior(prior)
    return OpenPrior(str(prior), read_card(folder), folder)
