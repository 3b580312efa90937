"""What the browser sends: which uploaded files are asked about, and their bytes, which are gone once they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ImageReadError, ImageTooLargeError, UsageError

MAX_PHOTOS = 100
_LONGEST_NAME = 255  # characters


@dataclass(slots=True)
class Upload:
    """A photo that was uploaded, as a binary file that can be read once: its temporary file is removed then.

    Attributes:
        name: Name of the file on the sender's machine; nothing is opened by it.
        path: Path of the temporary file; None when it was read, and of a photo that the browser kept back.
        size: Size that the browser tells, in bytes; 0 where it does not.
        max_bytes: Number of bytes from which on the photo is refused.
    """

    name: str
    path: Path | None
    size: int
    max_bytes: int

    def read(self, _: int = -1, /) -> bytes:
        """Return all of its bytes the first time, none after that.

        Raises:
            ImageTooLargeError: There are more than `max_bytes`.
            ImageReadError: The temporary file is gone.
        """
        if self.path is None:
            if self.size > self.max_bytes:
                raise self._too_large(self.size)
            return b""
        try:
            if (size := self.path.stat().st_size) > self.max_bytes:
                raise self._too_large(size)
            return self.path.read_bytes()
        except OSError as error:
            raise ImageReadError(f"{self.name}: is no longer on the server; send it again") from error
        finally:
            self.remove()

    def remove(self) -> None:
        """Remove the temporary file, and its folder when nothing else is in it."""
        path, self.path = self.path, None
        if path is None:
            return
        path.unlink(missing_ok=True)
        try:
            path.parent.rmdir()
        except OSError:
            return  # another upload of the same bytes lies in it

    def _too_large(self, size: int) -> ImageTooLargeError:
        return ImageTooLargeError(f"{self.name}: {size:,} bytes; at most {self.max_bytes:,} are read, save it smaller")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked about which photos.

    Attributes:
        uploads: Photos in the order in which they were chosen.
        operating_point: Name of the thresholds.
        is_detail: Whether a row of the table is asked about, which then stays.
    """

    uploads: tuple[Upload, ...]
    operating_point: str
    is_detail: bool = False


@contextmanager
def removed_after(uploads: Sequence[Upload]) -> Iterator[None]:
    """Remove what is left of the uploads when the block ends, however it ends."""
    try:
        yield
    finally:
        for upload in uploads:
            upload.remove()


def parse_request(value: Any, folder: Path, max_bytes: int) -> Request:
    """Check what a browser, or a program in its place, sent.

    Args:
        value: The JSON: `photos` with `name`, `path` and `size` each, `operating_point`, `detail`.
        folder: Folder of the uploads; no file elsewhere is read or removed.
        max_bytes: Size from which on a photo is refused.

    Raises:
        UsageError: It is something else, too many photos, or a path outside of the folder.
    """
    try:
        photos, point, detail = value["photos"], value["operating_point"], value.get("detail", False)
        uploads = tuple(_upload(photo, folder.resolve(), max_bytes) for photo in photos)
        if not isinstance(point, str) or not isinstance(detail, bool):
            raise TypeError(f"{point!r} and {detail!r}")
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise UsageError(f"the request is none of this page's ({error!r:.200}); load the page again") from error
    if not 1 <= len(uploads) <= MAX_PHOTOS:
        raise UsageError(
            f"{len(uploads)} photos; choose 1 to {MAX_PHOTOS} at a time, and use `aiface predict` for more"
        )
    return Request(uploads, point, detail)


def _upload(photo: Any, folder: Path, max_bytes: int) -> Upload:
    path, size = photo.get("path"), photo.get("size") or 0
    name = photo.get("name") or photo.get("orig_name") or (Path(path).name if path else None)
    if not isinstance(name, str) or not isinstance(size, int):
        raise TypeError(f"{name!r:.100}, {size!r:.100}")
    if path is None:
        return Upload(name[:_LONGEST_NAME], None, size, max_bytes)
    file = Path(path)
    if file.is_symlink() or not file.resolve().is_relative_to(folder):
        raise ValueError("a path outside of the uploads")
    return Upload(name[:_LONGEST_NAME], file.resolve(), size, max_bytes)
