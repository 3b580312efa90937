"""The photos of a request's body, read into memory within limits; nothing is written to a file, no address fetched."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from ..images import EncodedImage
from ..text import printable
from .problems import CLIENT_GONE, Problem
from .settings import Settings

MULTIPART, OCTETS = "multipart/form-data", "application/octet-stream"
MAX_NAME = 255  # characters of a photo's name, as many as file systems take
_ACCEPTED = f"{MULTIPART}, {OCTETS}, image/*"
_HOW = "curl -F photo=@face.jpg, or curl --data-binary @face.jpg -H 'Content-Type: image/jpeg'"


def check_head(request: Request, settings: Settings) -> int:
    """Refuse by its headers what cannot be read, before any of it is.

    Returns:
        Bytes of the body; the most that they can be where the request does not say.

    Raises:
        Problem: Another content type or encoding, too long a name, too many bytes, or none.
    """
    kind = _media_type(request)
    if not (kind in (MULTIPART, OCTETS) or kind.startswith("image/")):
        raise Problem(
            415, "media_type", f"Content-Type {printable(kind)!r} is none of {_ACCEPTED}", f"send a photo: {_HOW}",
            {"Accept-Post": _ACCEPTED},
        )  # fmt: skip
    if len(name := request.query_params.get("name", "")) > MAX_NAME:
        raise Problem(422, "name", f"name has {len(name)} characters, more than {MAX_NAME}", "give it a shorter name")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "encoding", "the body is compressed", "send it as it is, without Content-Encoding")
    length = request.headers.get("content-length")
    if length is None and "transfer-encoding" not in request.headers:
        raise _empty()
    if length is None:
        return settings.max_request_bytes
    if int(length) > settings.max_request_bytes:
        raise _too_large(settings)
    return int(length)


async def photos_of(request: Request, settings: Settings) -> list[EncodedImage]:
    """Read the photos of a body.

    Raises:
        Problem: Too many bytes or photos, none, or not what the content type says; or the client left.
    """
    try:
        if _media_type(request) == MULTIPART:
            return await _files(request, settings)
        return [await _whole(request, settings)]
    except ClientDisconnect:
        raise client_gone() from None


def client_gone() -> Problem:
    """Return what a request ends in whose client does not wait for the answer."""
    return Problem(CLIENT_GONE, "client_gone", "the client closed the connection", "wait for the answer")


async def _whole(request: Request, settings: Settings) -> EncodedImage:
    data = b"".join([chunk async for chunk in _limited(request, settings)])
    if not data:
        raise _empty()
    return _photo(request.query_params.get("name", ""), data)


async def _files(request: Request, settings: Settings) -> list[EncodedImage]:
    parser = _Parser(request.headers, _limited(request, settings))
    parser.max_photos = settings.max_photos
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError) as error:
        what = getattr(error, "message", None) or str(error)
        raise Problem(400, "multipart", f"the body is no {MULTIPART}: {what}", f"send it by {_HOW}") from error
    parts = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
    try:
        read = [(part.filename or "", part.file.read()) for part in parts]
    finally:
        for part in parts:
            part.file.close()
    photos = [_photo(name, data) for name, data in read if name or data]  # a form's field where no file was chosen
    if not photos:
        raise _empty()
    return photos


async def _limited(request: Request, settings: Settings) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > settings.max_request_bytes:
            raise _too_large(settings)
        yield chunk


class _Parser(MultiPartParser):
    """starlette's parser, in memory, for nothing but files, and no more of them than may be."""

    spool_max_size = 0  # never to a file
    max_photos = 1

    def __init__(self, headers: object, stream: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers, stream, max_files=float("inf"))  # type: ignore[arg-type]
        self._parts = 0

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > self.max_photos:
            too_many = f"more than {self.max_photos} photos"
            raise Problem(422, "too_many_photos", too_many, "send them in several requests")
        super().on_part_begin()

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is None:
            name = printable(self._current_part.field_name[:MAX_NAME])
            raise Problem(422, "no_file", f"the part {name!r} is not sent as a file", f"send it by {_HOW}")


def _photo(name: str, data: bytes) -> EncodedImage:
    """Name a photo as its sender does, on one line, and as the library names bytes where the sender does not."""
    name = printable(name[:MAX_NAME])
    return EncodedImage(name or f"<{len(data):,} bytes>", data)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _too_large(settings: Settings) -> Problem:
    too_many = f"the body has more than {settings.max_request_bytes:,} bytes"
    return Problem(413, "too_large", too_many, "send fewer or smaller photos")


def _empty() -> Problem:
    return Problem(422, "no_photo", "the body holds no photo", f"send one by {_HOW}")
