"""Conversion of published checkpoints into a prior: `prior.json` and safetensors.

Accepted are MONAI bundles and `generative` state dicts, MONAI core state dicts, the original
InverseSR names (with prefix and schedule buffers, or a decoder alone) and mlflow folders of
pickled modules; each as a folder or a zip file.
"""

import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.card import (
    FileCard,
    NetworkCard,
    PriorCard,
    dump_card,
    parse_card,
)
from inversesr.priors.conversion.state_dict_keys import never_projects, own_tensors, to_monai
from inversesr.priors.conversion.unpickling import read_checkpoint
from inversesr.priors.networks.build import check_tensors, tensor_shapes
from inversesr.priors.old_names import ROLES
from inversesr.priors.published import PUBLISHED, recognised
from inversesr.priors.schedule import make_schedule
from inversesr.priors.store import CARD_NAME, digest, folder_of, read_json, write_text
from inversesr.priors.tensors import save_tensors

# Where the public forms keep each network, in the order of preference.
_STEMS = {
    "autoencoder": (
        "models/autoencoder",
        "autoencoder",
        "autoencoder/data/model",
        "decoder/data/model",
    ),
    "denoiser": (
        "models/model",
        "models/diffusion_model",
        "diffusion_model",
        "denoiser",
        "unet",
        "ddpm/data/model",
        "diffusion_model/data/model",
        # last: other networks lie in files of this name too
        "model",
    ),
    "unet": ("unet", *(old for old, role in ROLES.items() if role == "unet")),
}
_SUFFIXES = (".safetensors", ".pt", ".pth")
_MAX_LEVEL_DIFFERENCE = 1e-4


def import_prior(
    source: Path,
    destination: Path | None = None,
    *,
    trust_pickle: bool = False,
    card: Mapping[str, object] | None = None,
    force: bool = False,
) -> PriorCard:
    """Convert a folder or zip file of published weights into a prior.

    Args:
        source: Folder or zip file, see the module's first lines.
        destination: Folder of the new prior. None takes the cache folder and the card's name.
        trust_pickle: Whether files with pickled modules may be opened (their code never runs).
        card: Content of `prior.json` without `files`. None takes `prior.json` beside the weights,
            else that of the published model whose files are there, see `priors.published`.
        force: Whether a prior that is there already may be replaced.

    Returns:
        The card that was written.

    Raises:
        InputError: a file is missing or is not what the card says, or a prior is there already.
    """
    with _opened(source) as folder:
        described = _find_card(folder) if card is None else parse_card(card)
        paths = {
            role: _find_weights(folder, described, role, source) for role in described.networks
        }
        destination = destination or folder_of(described.name)
        if (destination / CARD_NAME).exists() and not force:
            message = (
                f"prior {destination.name!r} is installed already: give --force to replace it, or "
                "--name to install this one beside it"
            )
            raise InputError(message)
        with _whole_folder(destination) as partial:
            for role, path in paths.items():
                described = _import_network(described, role, path, partial, trust_pickle)
            files = {}
            for network in described.networks.values():
                path = partial / network.file
                files[network.file] = FileCard(path.stat().st_size, digest(path))
            written = replace(described, files=files)
            write_text(partial / CARD_NAME, dump_card(written))
    return written


@contextmanager
def _whole_folder(destination: Path) -> Iterator[Path]:
    """Give a folder that takes the place of another one when all went well."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    # beside it, so that one rename is enough; hidden from the list of priors by its name
    with tempfile.TemporaryDirectory(prefix=".import-", dir=destination.parent) as temporary:
        partial, former = Path(temporary) / "new", Path(temporary) / "former"
        partial.mkdir()
        yield partial
        if destination.exists():
            destination.replace(former)
        partial.replace(destination)


def convert_tensors(
    tensors: Mapping[str, Tensor], network: NetworkCard, where: str = "the checkpoint"
) -> tuple[dict[str, Tensor], NetworkCard]:
    """Rename the tensors of a checkpoint to MONAI core's and check them against the network.

    Args:
        tensors: As read from a checkpoint.
        network: Class and arguments that they belong to.
        where: Name of the checkpoint for errors.

    Returns:
        Tensors by MONAI core name, and the card, in which attention without its final projection
        is noted when the weights are of that kind. The encoder may be missing as a whole.

    Raises:
        InputError: tensors are missing, superfluous or of another shape.
    """
    own = own_tensors(tensors, network.network)
    if not own:
        names = ", ".join(sorted(tensors)[:3]) or "no tensors"
        message = f"{where} holds {names}; expected weights of {network.network}"
        raise InputError(message)
    if never_projects(own):
        network = replace(network, arguments={**network.arguments, "include_fc": False})
    renamed = to_monai(own, network.network, network.arguments)
    expected = tensor_shapes(network)
    missing = {name for name in expected if name not in renamed}
    found = {name: tuple(t.shape) for name, t in renamed.items()}
    check_tensors(expected, found, where, partial=is_encoder(missing, expected))
    return renamed, network


def is_encoder(names: set[str], expected: Mapping[str, object]) -> bool:
    """Whether names are all those, and only those, that encoding alone needs."""
    return bool(names) and names == {
        n for n in expected if n.startswith(("encoder.", "quant_conv_"))
    }


def _import_network(
    card: PriorCard,
    role: str,
    path: Path,
    destination: Path,
    trust_pickle: bool,  # noqa: FBT001
) -> PriorCard:
    """Convert one network and write its file; return the card with what was learned."""
    tensors = read_checkpoint(path, trust_pickle=trust_pickle)
    if role == "denoiser":
        _check_schedule(card, tensors, path)
    converted, network = convert_tensors(tensors, card.networks[role], str(path))
    save_tensors(destination / network.file, converted)
    latent = card.latent
    if role == "autoencoder":
        latent = replace(latent, has_encoder=any(n.startswith("encoder.") for n in converted))
    if role == "denoiser":
        latent = replace(latent, scale=_scale(card, tensors, path))
    return replace(card, latent=latent, networks={**card.networks, role: network})


def _scale(card: PriorCard, tensors: Mapping[str, Tensor], path: Path) -> float:
    """Return the scale of latents: that of the checkpoint, if it holds one, else the card's."""
    stored, scale = tensors.get("scale_factor"), card.latent.scale
    if stored is not None:
        return float(stored)
    if card.networks["denoiser"].network == "DiffusionModelUNetMaisi" and scale == 1.0:
        message = (
            f"{path} holds no scale_factor, by which latents were multiplied in training; "
            "expected the published checkpoint, or the number as latent.scale in a prior.json"
        )
        raise InputError(message)
    return scale


def _check_schedule(card: PriorCard, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Compare the noise levels that a checkpoint carries with those of the card."""
    stored = next((t for n, t in tensors.items() if f".{n}".endswith(".alphas_cumprod")), None)
    if stored is None or card.schedule is None:
        return
    expected = make_schedule(card.schedule).signal ** 2
    same_length = stored.shape == expected.shape
    if not same_length or (stored.double() - expected).abs().max() > _MAX_LEVEL_DIFFERENCE:
        message = (
            f"{path} was trained with other noise levels than prior.json says "
            f"({card.schedule.kind}, {card.schedule.n_steps} steps): correct the schedule"
        )
        raise InputError(message)


@contextmanager
def _opened(source: Path) -> Iterator[Path]:
    """Give a folder for a folder or a zip file."""
    if source.is_dir():
        yield source
        return
    if not zipfile.is_zipfile(source) or source.suffix in _SUFFIXES:
        message = (
            f"{source} is no folder and no zip file; expected the folder of downloaded weights"
        )
        raise InputError(message)
    with tempfile.TemporaryDirectory(prefix="inversesr-") as temporary:
        with zipfile.ZipFile(source) as archive:
            wanted = [n for n in archive.namelist() if n.endswith((*_SUFFIXES, CARD_NAME))]
            archive.extractall(temporary, members=wanted)
        yield Path(temporary)


def _find_card(folder: Path) -> PriorCard:
    """Read `prior.json` beside the weights, or take that of the published model."""
    found = sorted(folder.rglob(CARD_NAME), key=_depth)
    data = read_json(found[0]) if found else recognised(folder).card
    return replace(parse_card(data), files={})


def _find_weights(folder: Path, card: PriorCard, role: str, source: Path) -> Path:
    """Find the checkpoint of a network, wherever the public forms keep it."""
    published = PUBLISHED.get(card.name)
    stems = _STEMS.get(role, (role,))
    names = [stem + suffix for stem in stems for suffix in _SUFFIXES]
    if published is not None and role in published.files:
        file = published.files[role]
        names = [file, Path(file).name, *names]
    for name in names:
        found = sorted(folder.rglob(name), key=_depth)
        if found:
            return found[0]
    message = f"{source} has no weights of the {role}; expected {stems[0]}.pt"
    if published is not None and role in published.files:
        message = (
            f"{source} has no weights of the {role}; expected {published.files[role]}: "
            f"download it by {published.download(role, str(source))}"
        )
    raise InputError(message)


def _depth(path: Path) -> tuple[int, Path]:
    """Sort files near the top first, those beside each other by name."""
    return len(path.parts), path


def count_parameters(tensors: Mapping[str, Tensor] | Mapping[str, tuple[int, ...]]) -> int:
    """Return the number of values in tensors, or in tensors of the given shapes."""
    return sum(
        t.numel() if isinstance(t, Tensor) else torch.Size(t).numel() for t in tensors.values()
    )
