"""From a model hub's id to a checkpoint folder in huggingface_hub's own cache."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from huggingface_hub import constants, hf_hub_download
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
from .checkpoint_files import ADAPTERS, CONFIG, PROCESSORS, check_description, check_no_adapter

_ID = re.compile(
    r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<subfolder>[\w.-]+(?:/[\w.-]+)*/?))?", re.ASCII
)
_PAGE = re.compile(
    r"/(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<view>tree|blob|resolve)/(?P<revision>[^/]+)(?:/(?P<path>.+))?)?/?"
)
_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_NO_MODELS = ("datasets", "spaces", "collections", "papers", "docs", "blog")  # what else has pages of two words
# The first that is there; an index names the files of weights that were saved in shards.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")

# What to say, by the first that an error is an instance of: some of these are kinds of others.
_REASONS: dict[type[Exception], str] = {
    GatedRepoError: "access has to be asked for on its page; then set HF_TOKEN",
    RepositoryNotFoundError: "no such folder here, and no such repository on the hub or a private one; check the name",
    RevisionNotFoundError: "the repository has no revision {revision}",
    LocalEntryNotFoundError: "not in the cache, and the hub cannot be reached; check the connection and HF_HUB_OFFLINE",
    EntryNotFoundError: "has no config.json there, so it is no transformers checkpoint; a folder in it is named by "
    "org/name:sub/folder",
}


@dataclass(frozen=True)
class HubId:
    """A folder of a repository on a hub.

    Attributes:
        repo: Name of the repository, `org/name`.
        revision: Branch, tag or commit; None for the repository's main branch.
        subfolder: Folder in the repository, without slashes at its ends; empty for its top.
    """

    repo: str
    revision: str | None = None
    subfolder: str = ""


def is_hub_id(source: str) -> bool:
    """Tell whether this reads as a hub id or the address of a hub's page, and is no path that exists here."""
    return (is_page(source) or _ID.fullmatch(source) is not None) and not Path(source).exists()


def is_page(source: str) -> bool:
    """Tell whether this is an address on the web, or of the hub without `https://`."""
    return source.startswith(("https://", "http://", *(f"{host}/" for host in _HOSTS)))


def parse(source: str) -> HubId:
    """Read `org/name[@revision][:sub/folder]`, or the address of such a page or file on the hub.

    Raises:
        SourceError: It is neither.
    """
    if is_page(source):
        return _parse_page(source)
    match = _ID.fullmatch(source)
    if match is None or ".." in (match["subfolder"] or "").split("/"):
        raise SourceError(f"{source}: no such folder, and not a hub id of the form org/name[@revision][:sub/folder]")
    return HubId(match["repo"], match["revision"], (match["subfolder"] or "").strip("/"))


def _parse_page(address: str) -> HubId:
    parts = urlsplit(address if "://" in address else f"https://{address}")
    hosts = (*_HOSTS, urlsplit(constants.ENDPOINT).hostname)
    match = _PAGE.fullmatch(parts.path.removesuffix("/"))
    if parts.hostname not in hosts or match is None or match["repo"].split("/")[0] in _NO_MODELS:
        raise SourceError(
            f"{address}: not the page of a model on the hub; give org/name or https://huggingface.co/org/name"
        )
    path = unquote(match["path"] or "")
    is_file = match["view"] in ("blob", "resolve")
    subfolder = path.rpartition("/")[0] if is_file else path
    return HubId(match["repo"], unquote(match["revision"]) if match["revision"] else None, subfolder.strip("/"))


def fetch(source: str, subfolder: str = "") -> tuple[Path, str]:
    """Download a checkpoint to the cache, or find it there.

    Nothing is asked of the network in offline mode (`HF_HUB_OFFLINE=1`); `HF_ENDPOINT` and `HF_TOKEN` are honoured.
    What its small files show to be unfit is refused before the weights are sent.

    Args:
        source: `org/name[@revision][:sub/folder]` (a branch, tag or commit), or the address of its page.
        subfolder: Folder in the repository, in place of that in the id.

    Returns:
        The folder, and `org/name@commit` with `:sub/folder` where there is one.

    Raises:
        SourceError: There is no such checkpoint, it may not be read, or it cannot be reached.
    """
    location = parse(source)
    subfolder = subfolder.strip("/") or location.subfolder
    try:
        checkpoint = _Checkpoint.found(location, subfolder, cached_only=not _is_reachable())
        checkpoint.fetch_description()
        checkpoint.fetch_weights()
    except SourceError as error:
        raise SourceError(f"{source}: {error}") from error.__cause__
    except Exception as error:  # huggingface_hub's own errors, and its HTTP client's
        raise SourceError(f"{source}: {_reason(error, location.revision)}") from error
    name = f"{location.repo}@{checkpoint.commit}"
    return checkpoint.folder, f"{name}:{subfolder}" if subfolder else name


def _is_reachable() -> bool:
    """Tell whether the hub answers at all: huggingface_hub itself would retry each file for half a minute."""
    try:
        get_session().head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except Exception:  # noqa: BLE001 what its HTTP client raises, and huggingface_hub in offline mode
        return False
    return True


def _reason(error: Exception, revision: str | None) -> str:
    """Tell why a checkpoint could not be fetched, and what to do."""
    reasons = (reason for kind, reason in _REASONS.items() if isinstance(error, kind))
    return next(reasons, f"cannot be fetched ({first_line(error)})").replace("{revision}", repr(revision))


@dataclass(frozen=True)
class _Checkpoint:
    """A folder of one commit of a repository.

    Attributes:
        repo: Name of the repository, `org/name`.
        commit: Hash of the commit.
        folder: The folder in the cache, with `config.json` in it.
        subfolder: The same in the repository; empty for its top.
        cached_only: Whether files are taken from the cache alone, without a connection.
    """

    repo: str
    commit: str
    folder: Path
    subfolder: str
    cached_only: bool

    @classmethod
    def found(cls, location: HubId, subfolder: str, *, cached_only: bool) -> _Checkpoint:
        """Find the commit that a revision stands for, by its configuration."""
        file = f"{subfolder}/{CONFIG}" if subfolder else CONFIG
        try:
            config = Path(
                hf_hub_download(location.repo, file, revision=location.revision, local_files_only=cached_only)
            )
        except EntryNotFoundError:
            _check_no_adapter(location, subfolder, cached_only=cached_only)
            raise
        top = config.parents[len(Path(file).parts) - 1]
        return cls(location.repo, top.name, config.parent, subfolder, cached_only)

    def file(self, name: str) -> Path | None:
        """Return where a file lies in the cache, once it is there; None if the repository, or the cache, lacks it."""
        name = f"{self.subfolder}/{name}" if self.subfolder else name
        try:
            return Path(hf_hub_download(self.repo, name, revision=self.commit, local_files_only=self.cached_only))
        except LocalEntryNotFoundError:
            if self.cached_only:
                return None
            raise
        except EntryNotFoundError:
            return None

    def fetch_description(self) -> None:
        """Fetch the small files, and refuse what they show to be unfit."""
        for name in (CONFIG, ADAPTERS[0], *PROCESSORS):
            self.file(name)
        try:
            check_description(self.folder)
        except SourceError as error:
            folder_in_cache = re.escape(str(self.folder)) + r"(: |/)"
            raise SourceError(re.sub(folder_in_cache, "", str(error))) from error

    def fetch_weights(self) -> None:
        """Fetch the first form of weights that is there, with all its shards."""
        lacks = "the cache lacks, and the hub cannot be reached" if self.cached_only else "the repository lacks"
        index_or_weights = next((file for name in _WEIGHTS if (file := self.file(name))), None)
        if index_or_weights is None:
            where = "in the cache, and the hub cannot be reached" if self.cached_only else ""
            raise SourceError(f"has neither model.safetensors nor pytorch_model.bin {where}".rstrip())
        if index_or_weights.suffix != ".json":
            return
        for shard in _shards(index_or_weights):
            if self.file(shard) is None:
                raise SourceError(f"{index_or_weights.name} names {shard}, which {lacks}")


def _check_no_adapter(location: HubId, subfolder: str, *, cached_only: bool) -> None:
    """Refuse a repository that holds an adapter without its base."""
    file = f"{subfolder}/{ADAPTERS[0]}" if subfolder else ADAPTERS[0]
    try:
        adapter = hf_hub_download(location.repo, file, revision=location.revision, local_files_only=cached_only)
    except EntryNotFoundError:
        return
    check_no_adapter(Path(adapter).parent)


def _shards(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{index.name} is no index of weights ({first_line(error)})") from error
