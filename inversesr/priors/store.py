"""Files of priors: where they lie, whether they are intact, and tensors in and out of them.

The only module that opens a foreign checkpoint. Nothing that a checkpoint names is ever imported
or called: a pickled module is read by an unpickler that knows tensors and containers and puts an
empty shell in place of everything else.
"""

import hashlib
import json
import os
import pickle
import re
import sys
import types
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inversesr.errors import InputError

HOME_VARIABLE = "INVERSESR_HOME"
CARD_NAME = "prior.json"
SHIPPED_PRIORS = Path(__file__).parent / "shipped"
# can be downloaded; `priors.catalogue` knows from where
PUBLIC_PRIORS = ("brain-ldm",)
_FOLDER_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_HASH_BLOCK_BYTES = 1 << 22
# what unpicklers raise on bytes that are not theirs
_UNREADABLE = (RuntimeError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError)


def home() -> Path:
    """Return the folder for downloaded and imported priors; it need not exist.

    It is $INVERSESR_HOME, else `inversesr` in the platform's cache folder.
    """
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "inversesr"


def folder_of(name: str) -> Path:
    """Return the folder in which a prior of the user is installed; it need not exist.

    Raises:
        InputError: the name cannot be that of a folder.
    """
    if not re.fullmatch(_FOLDER_NAME, name):
        message = (
            f"the name of a prior is {name!r}; expected letters, digits, dots, hyphens and "
            "underscores: give another --name"
        )
        raise InputError(message)
    return home() / "priors" / name


def prior_folders() -> dict[str, Path]:
    """Return the installed priors by name: those of the user before those of the package."""
    found: dict[str, Path] = {}
    for parent in (home() / "priors", SHIPPED_PRIORS):
        cards = sorted(parent.glob(f"*/{CARD_NAME}")) if parent.is_dir() else []
        for card in cards:
            found.setdefault(card.parent.name, card.parent)
    return found


def find_prior(name_or_folder: str | Path) -> Path:
    """Return the folder of a prior given by name or by folder.

    A name goes before a folder of that name: `./NAME` is the folder.

    Raises:
        InputError: there is no such prior; the sentence says what to do.
    """
    installed = prior_folders()
    if str(name_or_folder) in installed:
        return installed[str(name_or_folder)]
    folder = Path(name_or_folder).expanduser()
    if (folder / CARD_NAME).is_file():
        return folder
    if folder.is_dir():
        message = (
            f"{folder} has no {CARD_NAME}; expected the folder of a prior: "
            f"convert it first with `inversesr prior import {folder}`"
        )
        raise InputError(message)
    known = ", ".join(sorted(installed)) or "none"
    message = (
        f"prior {str(name_or_folder)!r} is not installed (installed: {known}); "
        f"run `inversesr prior fetch {name_or_folder}`, or `inversesr prior import DIR` "
        "with a folder of downloaded weights"
    )
    raise InputError(message)


def remedy(folder: Path) -> str:
    """Return the command that brings the files of a prior again."""
    if folder.is_relative_to(SHIPPED_PRIORS):
        return "pip install --force-reinstall inversesr"
    if folder.name in PUBLIC_PRIORS:
        return f"inversesr prior fetch {folder.name}"
    return "inversesr prior import DIR --force"


def read_json(path: Path) -> object:
    """Return the value of a JSON file.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"{path} is missing; expected a JSON file"
        raise InputError(message) from error
    except ValueError as error:
        message = f"{path} is not JSON ({error}); write it again"
        raise InputError(message) from error
    return value


def write_text(path: Path, text: str) -> None:
    """Write a text under a temporary name, then rename it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the hash of a file in hexadecimal."""
    state = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK_BYTES):
            state.update(block)
    return state.hexdigest()


def check_file(path: Path, size: int, sha256: str, remedy: str) -> None:
    """Check that a file is there and is the one that was meant.

    Args:
        path: The file.
        size: Expected size in bytes.
        sha256: Expected SHA-256 in hexadecimal.
        remedy: Command that brings the right file.

    Raises:
        InputError: the file is missing or differs.
    """
    if not path.is_file():
        message = f"{path} is missing; expected a file of {size} bytes: run `{remedy}`"
        raise InputError(message)
    found = path.stat().st_size
    if found != size:
        message = f"{path} has {found} bytes; expected {size}: run `{remedy}`"
        raise InputError(message)
    actual = digest(path)
    if actual != sha256:
        message = f"{path} has SHA-256 {actual}; expected {sha256}: run `{remedy}`"
        raise InputError(message)


def load_tensors(path: Path, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """Read a safetensors file, one tensor at a time.

    Args:
        path: The file.
        dtype: Floating-point tensors become this type; None keeps what is stored.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        InputError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        message = f"{path} is missing; expected a safetensors file"
        raise InputError(message)
    try:
        with safe_open(path, framework="pt") as stream:
            return {name: _cast(stream.get_tensor(name), dtype) for name in stream.keys()}  # noqa: SIM118  (no mapping)
    except SafetensorError as error:
        message = f"{path} is no readable safetensors file ({error}); fetch it again"
        raise InputError(message) from error


def stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of a safetensors file by name, reading its header only."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stream:
        return {name: tuple(stream.get_slice(name).get_shape()) for name in stream.keys()}  # noqa: SIM118  (no mapping)


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype | None = None
) -> None:
    """Write tensors as safetensors under a temporary name, then rename.

    Args:
        path: The file to write.
        tensors: Tensors by name.
        dtype: Floating-point tensors are stored in this type; None keeps theirs.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # a name of its own: several processes may make the same file
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    stored: dict[str, Tensor] = {}
    used: set[int] = set()
    for name, tensor in tensors.items():
        value = _cast(tensor, dtype).detach().contiguous()
        memory = value.untyped_storage()
        # safetensors refuses tensors that share memory; copy only those
        shares = memory.data_ptr() in used or memory.nbytes() != value.nbytes
        stored[name] = value.clone() if shares else value
        used.add(memory.data_ptr())
    try:
        save_file(stored, temporary)
        temporary.replace(path)
    except SafetensorError as error:
        message = f"{path} cannot be written ({error})"
        raise OSError(message) from error
    finally:
        temporary.unlink(missing_ok=True)


def kept(kind: str, recipe: str, make: Callable[[], Tensor]) -> Tensor:
    """Return a tensor that is made once and then read from the cache folder.

    Args:
        kind: Word for what it is; part of the file's name.
        recipe: All that it depends on; another recipe is another file.
        make: Makes it, where there is no file or it is damaged.
    """
    key = hashlib.sha256(recipe.encode(), usedforsecurity=False).hexdigest()[:16]
    path = home() / "made" / f"{kind}-{key}.safetensors"
    with suppress(InputError, KeyError):
        return load_tensors(path)[kind]
    made = make()
    # a cache folder that cannot be written to costs time, not the run
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(path, {kind: made})
    return made


def read_checkpoint(path: Path, *, trust_pickle: bool = False) -> dict[str, Tensor]:
    """Read all tensors of a foreign checkpoint.

    Args:
        path: A `.safetensors` file, a state dict saved by torch, or a whole pickled module.
        trust_pickle: Whether a file that is more than a state dict may be opened.

    Returns:
        Tensors by dotted name, nested dictionaries and modules flattened.

    Raises:
        InputError: the file is missing, unreadable, or needs trust_pickle.
    """
    if path.suffix == ".safetensors":
        return load_tensors(path)
    if not path.is_file():
        message = f"{path} is missing; expected a checkpoint"
        raise InputError(message)
    try:
        value = _open_checkpoint(path, trust_pickle)
    except _UNREADABLE as error:
        message = f"{path} is no readable checkpoint ({error}); fetch it again"
        raise InputError(message) from error
    return dict(_flatten(value, ""))


def _open_checkpoint(path: Path, trust_pickle: bool) -> object:  # noqa: FBT001  (private)
    """Read the value in a checkpoint, by torch's safe unpickler or, when trusted, by shells."""
    with warnings.catch_warnings():
        # torch remarks on the pickle protocol and on missing source code: neither matters here
        warnings.simplefilter("ignore")
        try:
            mapped = zipfile.is_zipfile(path)
            value: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)  # noqa: TID251  (this is the one module)
        except pickle.UnpicklingError as error:
            if not trust_pickle:
                message = (
                    f"{path} holds pickled Python objects; expected a dictionary of tensors: if "
                    "you trust where it came from, repeat the command with --trust-pickle"
                )
                raise InputError(message) from error
            value = _unpickle_shells(path)
    return value


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Convert floating-point tensors only."""
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


class _Shell:
    """Stands in place of any class or function that a pickle names; keeps only attributes."""

    def __new__(cls, *_args: object, **_kwargs: object) -> "_Shell":
        return super().__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        """Take any arguments and do nothing with them."""

    def __setstate__(self, state: object) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update({str(name): value for name, value in part.items()})

    def __setitem__(self, _name: object, _value: object) -> None:
        """Ignore items of containers that are not ours."""

    def __call__(self, *_args: object, **_kwargs: object) -> "_Shell":
        return _Shell()

    def append(self, _value: object) -> None:
        """Ignore items of containers that are not ours."""

    def extend(self, _values: object) -> None:
        """Ignore items of containers that are not ours."""


_SAFE_GLOBALS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("builtins", "dict"): dict,
    ("builtins", "list"): list,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}


class _ShellUnpickler(pickle.Unpickler):
    """Resolves only what tensors and containers need; everything else becomes a shell."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  (as in the base class)
        known = _SAFE_GLOBALS.get((module, name))
        return known if known is not None else type(name, (_Shell,), {})


def _unpickle_shells(path: Path) -> object:
    """Read a pickled module without importing or calling anything of its own."""
    reader = types.ModuleType("shells")
    vars(reader).update(
        Unpickler=_ShellUnpickler,
        load=lambda stream, **options: _ShellUnpickler(stream, **options).load(),
        __name__="shells",
    )
    value: object = torch.load(path, map_location="cpu", pickle_module=reader, weights_only=False)  # noqa: TID251
    return value


def _flatten(value: object, prefix: str) -> list[tuple[str, Tensor]]:
    """List the tensors of nested dictionaries and module shells by dotted name."""
    if isinstance(value, Tensor):
        return [(prefix, value.detach())]
    members: dict[Any, Any] = {}
    if isinstance(value, _Shell):
        for kind in ("_parameters", "_buffers", "_modules"):
            members.update(vars(value).get(kind) or {})
    elif isinstance(value, Mapping):
        members = dict(value)
    found = []
    for name, member in members.items():
        found += _flatten(member, f"{prefix}.{name}" if prefix else str(name))
    return found
