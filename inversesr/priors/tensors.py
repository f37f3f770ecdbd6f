"""Safetensors files: reading, writing, and a cache of tensors that are made once."""

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.eight_bit import SCALE_SUFFIX, from_eight_bits, to_eight_bits
from inversesr.priors.store import home


def load_tensors(path: Path, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """Read a safetensors file, one tensor at a time.

    Args:
        path: The file.
        dtype: Floating-point tensors become this type; None keeps what is stored, and makes
            float32 of what is stored in 8 bits.

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
            names = set(stream.keys())
            return {
                name: _cast(from_eight_bits(name, names, stream.get_tensor), dtype)
                for name in sorted(names)
                if not name.endswith(SCALE_SUFFIX)
            }
    except SafetensorError as error:
        message = f"{path} is no readable safetensors file ({error}); fetch it again"
        raise InputError(message) from error


def stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of a safetensors file by name, reading its header only."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stream:
        return {
            name: tuple(stream.get_slice(name).get_shape())
            for name in stream.keys()  # noqa: SIM118  (no mapping)
            if not name.endswith(SCALE_SUFFIX)
        }


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype | None = None
) -> None:
    """Write tensors as safetensors under a temporary name, then rename.

    Args:
        path: The file to write.
        tensors: Tensors by name.
        dtype: Floating-point tensors are stored in this type; None keeps theirs, and int8
            stores kernels in 8 bits (`priors.eight_bit`).

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # a name of its own: several processes may make the same file
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    stored: dict[str, Tensor] = {}
    used: set[int] = set()
    if dtype == torch.int8:
        tensors, dtype = to_eight_bits(tensors), None
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


def cached(kind: str, recipe: str, make: Callable[[], Tensor]) -> Tensor:
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


def _cast(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Convert floating-point tensors only."""
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
