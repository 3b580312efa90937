"""A model hub's id → a checkpoint folder in huggingface_hub's own cache."""

from __future__ import annotations

import json
import re
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..errors import SourceError
from ..source import first_line

_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
# The first that is there; an index names the files of weights that were saved in shards.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


def is_hub_id(place: str) -> bool:
    """Whether this reads as `org/name` or `org/name@revision` and is no path that exists here."""
    return _ID.fullmatch(place) is not None and not Path(place).exists()


def fetch(place: str) -> tuple[Path, str]:
    """Bring a checkpoint into the cache, or find it there.

    Nothing is asked of the network in offline mode (`HF_HUB_OFFLINE=1`); `HF_ENDPOINT` and `HF_TOKEN` are honoured.

    Args:
        place: `org/name` or `org/name@revision` (a branch, tag or commit).

    Returns:
        The folder, and `org/name@commit`.

    Raises:
        SourceError: There is no such checkpoint, it may not be read, or it cannot be reached.
    """
    found = _ID.fullmatch(place)
    if found is None:
        raise SourceError(f"{place}: no such folder, and not a hub id of the form org/name[@revision]")
    repo, revision = found["repo"], found["revision"]
    try:
        config = Path(hf_hub_download(repo, "config.json", revision=revision))
        commit = config.parent.name
        _download_if_there(repo, "preprocessor_config.json", commit)
        _weights(repo, commit, place)
    except RepositoryNotFoundError as error:
        raise SourceError(
            f"{place}: no such folder here, and no such repository on the hub or a private one; check the name"
        ) from error
    except GatedRepoError as error:
        raise SourceError(f"{place}: access has to be asked for on its page; then set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise SourceError(f"{place}: the repository has no revision {revision!r}") from error
    except LocalEntryNotFoundError as error:
        raise SourceError(
            f"{place}: not in the cache, and the hub cannot be reached; check the connection and HF_HUB_OFFLINE"
        ) from error
    except EntryNotFoundError as error:
        raise SourceError(f"{place}: has no config.json, so it is not a transformers checkpoint") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise SourceError(f"{place}: cannot be fetched ({first_line(error)})") from error
    return config.parent, f"{repo}@{commit}"


def _download_if_there(repo: str, name: str, commit: str) -> Path | None:
    try:
        return Path(hf_hub_download(repo, name, revision=commit))
    except LocalEntryNotFoundError:  # unreachable, which is not "not there", though it is a kind of it
        raise
    except EntryNotFoundError:
        return None


def _weights(repo: str, commit: str, place: str) -> None:
    for name in _WEIGHTS:
        file = _download_if_there(repo, name, commit)
        if file is None:
            continue
        if name.endswith(".index.json"):
            for shard in _shards(file, place):
                if _download_if_there(repo, shard, commit) is None:
                    raise SourceError(f"{place}: {name} names {shard}, which the repository lacks")
        return
    raise SourceError(f"{place}: has neither model.safetensors nor pytorch_model.bin")


def _shards(index: Path, place: str) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{place}: {index.name} is no index of weights ({first_line(error)})") from error
