"""Files of tensors with a class name and a configuration: safetensors and JSON, no code.

.. math:: \\text{file} = (\\text{class}, \\text{configuration}, \\{\\text{name} \\to x\\})

A checksum of all three tells a file that a disk or a transfer has damaged.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from inference.files import atomic_write

__all__ = ["read_tensors", "write_tensors"]

# What the metadata of a file says of itself; the version counts changes of the layout.
_FORMAT = {"format": "free-energy", "version": "1"}


def write_tensors(
    path: str | os.PathLike[str], name: str, config: Any, tensors: Mapping[str, Tensor]
) -> None:
    """Write tensors to one .safetensors file, replaced as a whole or not at all.

    Tensors keep their type; those that share memory are stored each in full.

    Arguments:
        path: of the file.
        name: of the class that reads it.
        config: JSON values, with strings as dict keys.
        tensors: by name.

    Raises:
        TypeError: the configuration is not JSON.
        FileNotFoundError: the folder does not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_tensors(f"{folder}/x", "Bits", {"size": 1}, {"x": torch.ones(1)})
        ...     read_tensors(f"{folder}/x", "Bits")
        ({'size': 1}, {'x': tensor([1.])})
    """
    from safetensors.torch import save

    try:
        text = json.dumps(config)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}.config() must return JSON values only: {error}") from error
    contiguous = {
        key: value.detach().to("cpu").clone(memory_format=torch.contiguous_format)
        for key, value in tensors.items()
    }
    metadata = {"class": name, "config": text, "checksum": _checksum(text, contiguous)}
    content = save(contiguous, {**_FORMAT, **metadata})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def read_tensors(source: str, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Configuration and tensors of a file, on the CPU and in memory of their own.

    Where numbers lie in memory decides the last bit of some products, so that they are laid out
    as fresh tensors are.

    Arguments:
        source: the file.
        name: of the class that it must be of.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, of another kind or of another class.
    """
    metadata, tensors = _opened(source)
    config = _check_metadata(metadata, name, source)
    # None in files that were written before there was one.
    if metadata.get("checksum") not in (None, _checksum(metadata["config"], tensors)):
        raise ValueError(
            f"{source}: damaged since it was written, as its checksum says; fetch it again or "
            "take another copy"
        )
    return config, {key: tensor.clone() for key, tensor in tensors.items()}


def _opened(source: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(source, framework="pt") as file:
            return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, PermissionError):
        raise
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{source}: not a complete safetensors file ({error})") from error


def _checksum(config: str, tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of a configuration and of the names, types, shapes and bytes of tensors."""
    found = zlib.crc32(config.encode())
    for name, tensor in sorted(tensors.items()):
        found = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), found)
        found = zlib.crc32(tensor.flatten().view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


def _check_metadata(metadata: Mapping[str, str], name: str, source: str) -> dict[str, Any]:
    """Configuration in the metadata of a file that must hold a model of class `name`."""
    if metadata.get("format") != _FORMAT["format"]:
        raise ValueError(f"{source}: a safetensors file, but not one that a model's save() wrote")
    if metadata.get("version") != _FORMAT["version"]:
        raise ValueError(
            f"{source}: layout version {metadata.get('version')!r}, this library reads "
            f"{_FORMAT['version']!r}; load it with the library version that wrote it"
        )
    if metadata.get("class") != name:
        raise ValueError(
            f"{source}: holds class {metadata.get('class')}, not {name}; "
            "call load() of the class that it holds"
        )
    try:
        config = json.loads(metadata.get("config", ""))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: its configuration is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise ValueError(
            f"{source}: its configuration must be a JSON object, found {type(config).__name__}"
        )
    return config
