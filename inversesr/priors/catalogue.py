"""Which priors there are, what they say of themselves, whether they are intact, and fetching."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inversesr.errors import InputError
from inversesr.priors import brain_ldm
from inversesr.priors.card import PriorCard, read_card
from inversesr.priors.conversion.checkpoints import import_prior, is_encoder
from inversesr.priors.networks.build import check_tensors, tensor_shapes
from inversesr.priors.published import PUBLISHED
from inversesr.priors.store import (
    CARD_NAME,
    check_file,
    digest,
    find_prior,
    folder_of,
    home,
    prior_folders,
    remedy,
)
from inversesr.priors.tensors import stored_shapes


@dataclass(frozen=True)
class PublicPrior:
    """Where a public prior is published.

    Attributes:
        repository: Repository on the Hugging Face Hub.
        files: File in the repository -> its MD5.
        card: Content of its `prior.json`, without `files`.
    """

    repository: str
    files: Mapping[str, str]
    card: Mapping[str, Any]

    def download_command(self) -> str:
        """Return the command that downloads all files into a folder DIR."""
        return f"hf download {self.repository} {' '.join(self.files)} --local-dir DIR"


SOURCES = {
    "brain-ldm": PublicPrior(
        brain_ldm.REPOSITORY, brain_ldm.REPOSITORY_FILES, brain_ldm.BRAIN_LDM
    ),
}


@dataclass(frozen=True)
class PriorSummary:
    """One line of the list of priors.

    Attributes:
        name: Name by which it is used.
        usable: Whether it is installed and its files have the right size.
        note: What it is, or how to get it, or what is wrong with it.
        folder: Where it is, or None.
    """

    name: str
    usable: bool
    note: str
    folder: Path | None


def list_priors() -> list[PriorSummary]:
    """Return the priors that are installed or published; hashes are not computed."""
    folders = prior_folders()
    found = [_summarise(name, folder) for name, folder in folders.items()]
    for name, source in SOURCES.items():
        if name not in folders:
            note = (
                f"not installed: run `inversesr prior fetch {name}`, or "
                f"`{source.download_command()}` and `inversesr prior import DIR`"
            )
            found.append(PriorSummary(name, False, note, None))  # noqa: FBT003  (a field)
    for name, published in PUBLISHED.items():
        is_variant = any(name.startswith(f"{other}-") for other in PUBLISHED)
        if name not in folders and name not in SOURCES and not is_variant:
            note = f"not installed: {published.how_to_install()}"
            found.append(PriorSummary(name, False, note, None))  # noqa: FBT003  (a field)
    return found


def describe_prior(name_or_folder: str | Path) -> dict[str, Any]:
    """Return `prior.json` of an installed prior, checked, with its folder.

    Raises:
        InputError: it is not installed, or its card is wrong.
    """
    folder = find_prior(name_or_folder)
    card = read_card(folder)
    plain: dict[str, Any] = json.loads(json.dumps(asdict(card)))
    return {"folder": str(folder), **plain}


def verify_prior(name_or_folder: str | Path) -> list[str]:
    """Check size, hash, names and shapes of everything in an installed prior.

    Args:
        name_or_folder: Name or folder.

    Returns:
        One sentence for each file that is as it should be.

    Raises:
        InputError: something is not; the first such thing.
    """
    folder = find_prior(name_or_folder)
    card = read_card(folder)
    sentences = []
    for name, entry in card.files.items():
        check_file(folder / name, entry.size, entry.sha256, remedy(folder))
        sentences.append(f"{name}: {entry.size} bytes, SHA-256 {entry.sha256[:12]}... as expected")
    for network in card.networks.values():
        if network.file not in card.files:
            message = (
                f"{folder / CARD_NAME} lists no size and hash for {network.file}: import again"
            )
            raise InputError(message)
        expected, found = tensor_shapes(network), stored_shapes(folder / network.file)
        absent = is_encoder(set(expected) - set(found), expected) and not card.latent.has_encoder
        check_tensors(expected, found, str(folder / network.file), partial=absent)
        sentences.append(f"{network.file}: {len(found)} tensors of {network.network} as expected")
    return sentences


def fetch_prior(name: str, *, endpoint: str | None = None) -> PriorCard:
    """Download a public prior and convert it; needs the extra `inversesr[fetch]`.

    Args:
        name: A name in SOURCES.
        endpoint: Address of a mirror of the Hugging Face Hub; None takes the Hub, or $HF_ENDPOINT.

    Returns:
        The card of the installed prior.

    Raises:
        InputError: the name is unknown, there is no network, or a file is not the published one.
    """
    if name not in SOURCES:
        message = f"prior {name!r} cannot be fetched; expected one of {', '.join(SOURCES)}"
        if name in PUBLISHED:
            message = f"prior {name!r} cannot be fetched: {PUBLISHED[name].how_to_install()}"
        raise InputError(message)
    source, folder = SOURCES[name], home() / "downloads" / name
    for file, md5 in source.files.items():
        _download(source, file, folder, endpoint)
        found = digest(folder / file, "md5")
        if found != md5:
            (folder / file).unlink()
            message = (
                f"{file} from {source.repository} has MD5 {found}; expected {md5}: fetch again"
            )
            raise InputError(message)
    card = import_prior(folder, folder_of(name), card=source.card, force=True)
    shutil.rmtree(folder)
    return card


def _download(source: PublicPrior, file: str, folder: Path, endpoint: str | None) -> None:
    """Download one file, resuming what an interrupted attempt left."""
    by_hand = (
        f"on a machine with network run `{source.download_command()}`, then here "
        "`inversesr prior import DIR`"
    )
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        message = (
            f"fetching {file} needs huggingface-hub, which is not installed: run "
            f"`pip install 'inversesr[fetch]'`, or {by_hand}"
        )
        raise InputError(message) from error
    try:
        hf_hub_download(source.repository, file, local_dir=folder, endpoint=endpoint, token=False)
    except OSError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        message = f"{file} could not be fetched from {source.repository} ({reason}); {by_hand}"
        raise InputError(message) from error


def _summarise(name: str, folder: Path) -> PriorSummary:
    """Describe an installed prior, or say what is wrong with it."""
    try:
        card = read_card(folder)
    except InputError as error:
        return PriorSummary(name, False, str(error), folder)  # noqa: FBT003  (a field)
    for file, entry in card.files.items():
        path = folder / file
        if not path.is_file() or path.stat().st_size != entry.size:
            note = f"{file} is missing or incomplete: run `{remedy(folder)}`"
            return PriorSummary(name, False, note, folder)  # noqa: FBT003  (a field)
    size = sum(entry.size for entry in card.files.values()) / 1e6
    kind = f"{card.modality}, skull {card.skull}, {card.grid.kind} grid"
    note = f"{kind}, {card.licence}, version {card.version}, {size:.0f} MB"
    return PriorSummary(name, True, note, folder)  # noqa: FBT003  (a field)
