"""From a model hub's id to a checkpoint folder in huggingface_hub's own cache."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import _CACHED_NO_EXIST, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session  # type: ignore[attr-defined] # documented, not in its __all__

from ..errors import SourceError
from ..source import first_line

_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
# The first that is there; an index names the files of weights that were saved in shards.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")

# What to say, by the first that an error is an instance of: some of these are kinds of others.
_REASONS: dict[type[Exception], str] = {
    GatedRepoError: "access has to be asked for on its page; then set HF_TOKEN",
    RepositoryNotFoundError: "no such folder here, and no such repository on the hub or a private one; check the name",
    RevisionNotFoundError: "the repository has no revision {revision}",
    LocalEntryNotFoundError: "not in the cache, and the hub cannot be reached; check the connection and HF_HUB_OFFLINE",
    EntryNotFoundError: "has no config.json, so it is not a transformers checkpoint",
}


def is_hub_id(source: str) -> bool:
    """Tell whether this reads as `org/name` or `org/name@revision` and is no path that exists here."""
    return _ID.fullmatch(source) is not None and not Path(source).exists()


def fetch(hub_id: str) -> tuple[Path, str]:
    """Download a checkpoint to the cache, or find it there.

    Nothing is asked of the network in offline mode (`HF_HUB_OFFLINE=1`); `HF_ENDPOINT` and `HF_TOKEN` are honoured.

    Args:
        hub_id: `org/name` or `org/name@revision` (a branch, tag or commit).

    Returns:
        The folder, and `org/name@commit`.

    Raises:
        SourceError: There is no such checkpoint, it may not be read, or it cannot be reached.
    """
    match = _ID.fullmatch(hub_id)
    if match is None:
        raise SourceError(f"{hub_id}: no such folder, and not a hub id of the form org/name[@revision]")
    repo, revision = match["repo"], match["revision"]
    cached_only = not _is_reachable()
    try:
        config = Path(hf_hub_download(repo, "config.json", revision=revision, local_files_only=cached_only))
        checkpoint = _Checkpoint(repo, config.parent.name, cached_only)
        checkpoint.file("preprocessor_config.json")
        checkpoint.fetch_weights()
    except SourceError as error:
        raise SourceError(f"{hub_id}: {error}") from error.__cause__
    except (OSError, ValueError) as error:  # huggingface_hub's own errors are among them
        raise SourceError(f"{hub_id}: {_reason(error, revision)}") from error
    return config.parent, f"{repo}@{checkpoint.commit}"


def _is_reachable() -> bool:
    """Tell whether the hub answers at all: huggingface_hub itself would retry each file for half a minute."""
    try:
        get_session().head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except OSError:  # what requests raises, and huggingface_hub in offline mode
        return False
    return True


def _reason(error: Exception, revision: str | None) -> str:
    """Tell why a checkpoint could not be fetched, and what to do."""
    reasons = (reason for kind, reason in _REASONS.items() if isinstance(error, kind))
    return next(reasons, f"cannot be fetched ({first_line(error)})").replace("{revision}", repr(revision))


@dataclass(frozen=True)
class _Checkpoint:
    """One commit of a repository.

    Attributes:
        repo: Name of the repository, `org/name`.
        commit: Hash of the commit.
        cached_only: Whether files are taken from the cache alone, without a connection.
    """

    repo: str
    commit: str
    cached_only: bool

    def file(self, name: str) -> Path | None:
        """Return where a file lies in the cache, once it is there; None if the repository lacks it."""
        try:
            return Path(hf_hub_download(self.repo, name, revision=self.commit, local_files_only=self.cached_only))
        except LocalEntryNotFoundError:  # out of reach, unless the cache remembers that the repository lacks it
            if try_to_load_from_cache(self.repo, name, revision=self.commit) is _CACHED_NO_EXIST:
                return None
            raise
        except EntryNotFoundError:
            return None

    def fetch_weights(self) -> None:
        """Fetch the first form of weights that is there, with all its shards."""
        index_or_weights = next((file for name in _WEIGHTS if (file := self.file(name))), None)
        if index_or_weights is None:
            raise SourceError("has neither model.safetensors nor pytorch_model.bin")
        if index_or_weights.suffix != ".json":
            return
        for shard in _shards(index_or_weights):
            if self.file(shard) is None:
                raise SourceError(f"{index_or_weights.name} names {shard}, which the repository lacks")


def _shards(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{index.name} is no index of weights ({first_line(error)})") from error
