"""
The bytes of a file that a caller names, or of a ``data:`` URL, and their media type.
"""

from __future__ import annotations

import os
import re
from os import PathLike
from stat import S_ISREG
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from pathlib import Path, PurePath

#: The largest file or ``data:`` URL that is taken, in bytes.
LIMIT = 20 * 1024 * 1024

# Not every platform has all of them; the first keeps a pipe from being waited for.
_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _flag, 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

# Media types by what is found at which offset; the first that fits is taken.
_MAGIC: tuple[tuple[str, *tuple[tuple[int, bytes], ...]], ...] = (
    ("image/png", (0, b"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", (0, b"\xff\xd8\xff")),
    ("image/gif", (0, b"GIF87a")),
    ("image/gif", (0, b"GIF89a")),
    ("image/webp", (0, b"RIFF"), (8, b"WEBP")),
    ("image/bmp", (0, b"BM"), (6, b"\0\0\0\0")),
    ("image/tiff", (0, b"II*\0")),
    ("image/tiff", (0, b"MM\0*")),
    ("image/avif", (4, b"ftypavif")),
    ("image/heic", (4, b"ftypheic")),
    ("image/heic", (4, b"ftypheix")),
    ("image/heif", (4, b"ftypmif1")),
    ("application/pdf", (0, b"%PDF-")),
    ("audio/wav", (0, b"RIFF"), (8, b"WAVE")),
    ("audio/mpeg", (0, b"ID3")),
    ("audio/ogg", (0, b"OggS")),
    ("audio/flac", (0, b"fLaC")),
    ("audio/mp4", (4, b"ftypM4A")),
    ("audio/mp4", (4, b"ftypM4B")),
    ("video/quicktime", (4, b"ftypqt  ")),
    ("video/mp4", (4, b"ftyp")),
    ("video/webm", (0, b"\x1aE\xdf\xa3")),
)
_FRAMES = {0xE2: "audio/mpeg", 0xE0: "audio/aac"}

# The names that people give such files; what is not here is asked of the platform's table.
_SUFFIXES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".svg": "image/svg+xml",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".xml": "application/xml",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}


def read_file(
    path: str | PathLike[str],
    *,
    mime: str | None = None,
    root: str | PathLike[str] | None = None,
    limit: int = LIMIT,
) -> tuple[bytes, str]:
    """
    Read a file whole, and tell its media type.

    It is opened once, and never waited for: a pipe or device is refused. What is checked is what was
    opened, so that nobody can exchange it in between.

    Args:
        path: Taken as it is: no ``~``, no variables.

        mime: Its media type; by default from its first bytes, else from its name.

        root: A directory that the file must be in, once links are followed.

        limit: The most bytes that it may have.

    Raises:
        OSError: It cannot be read.

        ValueError: Not a regular file, outside *root*, too large, or of no known type.
    """
    from pathlib import Path, PurePath  # not with the package: most programs read none

    if root is None:
        data = _read_regular(Path(path), limit, _FLAGS)
    else:
        place = _inside(Path(path), Path(root))
        data = _read_regular(place, limit, _FLAGS | _NO_LINK)
    found = mime or _media_type(data, PurePath(path))
    if not found:
        raise ValueError(f"{str(path)!r} has no known media type: give it as mime=")
    return data, found


def _inside(path: Path, root: Path) -> Path:
    place = path.resolve(strict=True)
    if not place.is_relative_to(root.resolve(strict=True)):
        raise ValueError(f"{str(path)!r} is not inside {str(root)!r}")
    return place


def _read_regular(place: Path, limit: int, flags: int) -> bytes:
    descriptor = os.open(place, flags)
    try:
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            raise ValueError(f"{str(place)!r} is not a regular file")
        if status.st_size > limit:
            raise ValueError(f"{str(place)!r} is larger than {limit:,} bytes")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise ValueError(f"{str(place)!r} is larger than {limit:,} bytes")
    return data


def _media_type(data: bytes, path: PurePath) -> str | None:
    told = sniff(data)
    named = _type_by_name(path) if told is None or told.startswith("video/") else None
    if told is None:
        return named
    # The containers of films hold sound alone as well; then only the name says so.
    alone = told.replace("video/", "audio/")
    return alone if named == alone else told


def sniff(data: bytes) -> str | None:
    """
    Tell the media type of *data* from its first bytes; ``None``: they do not say.
    """
    for mime, *marks in _MAGIC:
        if all(data.startswith(magic, offset) for offset, magic in marks):
            return mime
    # Eleven set bits begin an MPEG frame, two bits of layer follow behind two of
    # version: III is MP3, none is AAC. UTF-16's mark, FF FE, would be layer I.
    if data[:1] == b"\xff" and len(data) > 1:
        return _FRAMES.get(data[1] & 0xE6)
    return None


def _type_by_name(path: PurePath) -> str | None:
    known = _SUFFIXES.get(path.suffix.lower())
    if known:
        return known
    import mimetypes

    return mimetypes.guess_type(path.name)[0]


_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_DATA_URL = (
    r"(?ai)data:(?P<mime>(?:application|audio|image|text|video)/[\w.+-]{1,100})?"
    r"(?P<parameters>(?:;[\w.+-]{1,64}=[^;,]{0,200}){0,8})(?P<base64>;base64)?,"
)


def parse_data_url(url: str) -> tuple[str, bytes]:
    """
    Take a ``data:`` URL apart.

    Returns:
        Its media type in lower case, ``text/plain`` when it has none, and its bytes.

    Raises:
        ValueError: It is none, is not valid base64, or is larger than 20 MiB.
    """
    head = re.match(_DATA_URL, url)
    if head is None:
        raise ValueError("not a data: URL; one looks like data:image/png;base64,…")
    if len(url) - head.end() > LIMIT * 3:  # every byte percent-encoded
        raise ValueError(f"the data: URL holds more than {LIMIT:,} bytes")
    if not url.isascii():
        raise ValueError("the data: URL holds characters outside ASCII")
    data = unquote_to_bytes(url[head.end() :])
    if head["base64"]:
        data = _from_base64(data)
    if len(data) > LIMIT:
        raise ValueError(f"the data: URL holds more than {LIMIT:,} bytes")
    return (head["mime"] or "text/plain").lower(), data


def _from_base64(data: bytes) -> bytes:
    from base64 import b64decode
    from binascii import Error

    digits = data.translate(None, b" \t\r\n").translate(_URL_SAFE)
    digits = digits.rstrip(b"=")
    try:
        return b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except Error:
        raise ValueError("the data: URL does not hold valid base64") from None
