"""The published models that can be imported: their cards, their files, and where those are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inversesr.errors import InputError
from inversesr.priors import brain_ldm, brlp, nv_generate


@dataclass(frozen=True)
class PublishedPrior:
    """A published model.

    Attributes:
        card: Content of its `prior.json`, without `files`.
        files: Role of a network -> name of its published file.
        repositories: Role of a network -> repository on the Hugging Face Hub; empty where the
            files are elsewhere.
        code: Where its code is, with the links to its files.
        telltale: Name of a file that no other model has, or None.
    """

    card: Mapping[str, Any]
    files: Mapping[str, str]
    repositories: Mapping[str, str]
    code: str
    telltale: str | None = None

    def download(self, role: str, folder: str) -> str:
        """Return the command that downloads the file of a network, or where the file is."""
        file = self.files[role]
        if role not in self.repositories:
            return f"a link at {self.code}, named {Path(file).name}"
        return f"`hf download {self.repositories[role]} {file} --local-dir {folder}`"

    def how_to_install(self) -> str:
        """Return how to obtain all files and import them, as a clause of a sentence."""
        ways = ", ".join(self.download(role, "DIR") for role in self.files)
        return f"download the weights into DIR by {ways}; then `{self.import_command()}`"

    def import_command(self) -> str:
        """Return the command that imports a folder DIR."""
        return f"inversesr prior import DIR --as {self.card['name']}"


_NV_FILES = {
    "autoencoder": "models/autoencoder_v1.pt",
    "denoiser": "models/diff_unet_3d_rflow-mr-brain_v1.pt",
}
_NV_REPOSITORIES = {
    "autoencoder": "nvidia/NV-Generate-CT",
    "denoiser": "nvidia/NV-Generate-MR-Brain",
}
_PRIORS = (
    PublishedPrior(
        brain_ldm.BRAIN_LDM,
        dict(zip(("autoencoder", "denoiser"), brain_ldm.REPOSITORY_FILES, strict=True)),
        dict.fromkeys(("autoencoder", "denoiser"), brain_ldm.REPOSITORY),
        f"https://huggingface.co/{brain_ldm.REPOSITORY}",
    ),
    PublishedPrior(
        brlp.BRLP, {"autoencoder": "autoencoder.pth", "denoiser": "unet.pth"}, {}, brlp.CODE
    ),
    *(
        PublishedPrior(
            nv_generate.nv_generate_card(contrast),
            _NV_FILES,
            _NV_REPOSITORIES,
            nv_generate.CODE,
            Path(_NV_FILES["denoiser"]).name,
        )
        for contrast in nv_generate.CONTRASTS
    ),
)
PUBLISHED: dict[str, PublishedPrior] = {str(prior.card["name"]): prior for prior in _PRIORS}


def published_prior(name: str) -> PublishedPrior:
    """Return a published model by the name of its card.

    Raises:
        InputError: there is none of this name.
    """
    if name not in PUBLISHED:
        message = f"no published model {name!r} is known; expected one of {', '.join(PUBLISHED)}"
        raise InputError(message)
    return PUBLISHED[name]


def recognised(folder: Path) -> PublishedPrior:
    """Return the published model whose files lie in a folder; by default the brain LDM."""
    for prior in PUBLISHED.values():
        if prior.telltale is not None and any(folder.rglob(prior.telltale)):
            return prior
    return PUBLISHED[str(brain_ldm.BRAIN_LDM["name"])]
