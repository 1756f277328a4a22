"""
Files that callers name, and data URLs.
"""

import os
import threading
from base64 import b64encode
from pathlib import Path

import pytest

from ai_lib._core import files
from ai_lib._core.files import parse_data_url, read_file, sniff

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)

MAGIC = [
    pytest.param(PNG, "image/png", id="png"),
    pytest.param(b"\xff\xd8\xff\xe0", "image/jpeg", id="jpeg"),
    pytest.param(b"GIF87a", "image/gif", id="gif 87"),
    pytest.param(b"GIF89a", "image/gif", id="gif 89"),
    pytest.param(b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp", id="webp"),
    pytest.param(b"BM\x10\0\0\0\0\0\0\0", "image/bmp", id="bmp"),
    pytest.param(b"II*\0", "image/tiff", id="tiff little"),
    pytest.param(b"MM\0*", "image/tiff", id="tiff big"),
    pytest.param(b"\0\0\0\x1cftypheic", "image/heic", id="heic"),
    pytest.param(b"\0\0\0\x1cftypavif", "image/avif", id="avif"),
    pytest.param(b"%PDF-1.7\n", "application/pdf", id="pdf"),
    pytest.param(b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav", id="wav"),
    pytest.param(b"ID3\x04", "audio/mpeg", id="mp3 with tags"),
    pytest.param(b"\xff\xfb\x90", "audio/mpeg", id="mp3 bare"),
    pytest.param(b"\xff\xf1\x50", "audio/aac", id="aac"),
    pytest.param(b"OggS", "audio/ogg", id="ogg"),
    pytest.param(b"fLaC", "audio/flac", id="flac"),
    pytest.param(b"\0\0\0\x1cftypM4A ", "audio/mp4", id="m4a"),
    pytest.param(b"\0\0\0\x1cftypisom", "video/mp4", id="mp4"),
    pytest.param(b"\x1aE\xdf\xa3", "video/webm", id="webm"),
]


@pytest.mark.parametrize(("data", "mime"), MAGIC)
def test_first_bytes_tell_the_type(data, mime):
    """
    A file's type is read from its first bytes.
    """
    assert mime == sniff(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="one byte"),
        pytest.param(b"BMW,Audi\n1,2\n", id="text like a bitmap"),
        pytest.param(b"\xff\xfeh\0i\0", id="utf-16"),
        pytest.param(b"RIFF\x10\0\0\0AVI ", id="another riff"),
        pytest.param(b"12345678WAVE", id="wave outside riff"),
        pytest.param(b"hello", id="text"),
    ],
)
def test_other_first_bytes_tell_nothing(data):
    """
    What is not sure is not guessed.
    """
    assert sniff(data) is None


@pytest.mark.parametrize(
    ("name", "data", "mime"),
    [
        pytest.param("wrong.txt", PNG, "image/png", id="bytes before name"),
        pytest.param("a.TXT", b"hello", "text/plain", id="by name"),
        pytest.param("a.md", b"# hi", "text/markdown", id="markdown"),
        pytest.param("a.svg", b"<svg/>", "image/svg+xml", id="svg"),
        pytest.param("a.css", b"x", "text/css", id="the platform's table"),
        pytest.param("a.m4a", b"\0\0\0\x1cftypisom", "audio/mp4", id="sound alone"),
        pytest.param("a.mp4", b"\0\0\0\x1cftypisom", "video/mp4", id="a film"),
        pytest.param("empty.txt", b"", "text/plain", id="empty"),
    ],
)
def test_file_is_read_with_its_type(tmp_path, name, data, mime):
    """
    Bytes and media type come together.
    """
    path = tmp_path / name
    path.write_bytes(data)

    assert (data, mime) == read_file(path)
    assert (data, mime) == read_file(str(path))


def test_type_that_is_given_wins(tmp_path):
    """
    mime= is believed.
    """
    path = tmp_path / "a.png"
    path.write_bytes(PNG)

    assert (PNG, "image/x-own") == read_file(path, mime="image/x-own")


def test_file_of_unknown_type_is_refused_without_its_content(tmp_path):
    """
    No type: a ValueError that says what to do and shows nothing of the file.
    """
    path = tmp_path / "secret"
    path.write_bytes(b"LEAK")

    with pytest.raises(ValueError, match="give it as mime=") as caught:
        read_file(path)

    assert "LEAK" not in str(caught.value)


def test_missing_file_is_an_os_error(tmp_path):
    """
    The system's own error passes.
    """
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "nothing.png")


def test_directory_is_refused(tmp_path):
    """
    A directory is no regular file.
    """
    with pytest.raises(ValueError, match="not a regular file"):
        read_file(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_is_refused_at_once(tmp_path):
    """
    A pipe that nobody writes to is not waited for.
    """
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    caught = []

    def read():
        try:
            read_file(path)
        except ValueError as error:
            caught.append(str(error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)

    assert ["not a regular file"] == [text.rpartition("is ")[2] for text in caught]


def test_device_is_refused():
    """
    A device is no regular file.
    """
    with pytest.raises(ValueError, match="not a regular file"):
        read_file(os.devnull, mime="text/plain")


@pytest.mark.parametrize(("size", "fits"), [(9, True), (10, True), (11, False)])
def test_size_is_bounded(tmp_path, size, fits):
    """
    A file of the limit is read, one byte more is refused.
    """
    path = tmp_path / "a.txt"
    path.write_bytes(bytes(size))

    if fits:
        assert size == len(read_file(path, limit=10)[0])
    else:
        with pytest.raises(ValueError, match="larger than 10 bytes"):
            read_file(path, limit=10)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
def test_file_that_is_longer_than_it_says_is_bounded():
    """
    What grows behind its stated size, as files of /proc do, is stopped by what is read.
    """
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        read_file("/proc/self/status", mime="text/plain", limit=10)


def test_descriptors_are_closed(tmp_path):
    """
    Neither success nor refusal leaves a file open.
    """
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    lowest = os.open(path, os.O_RDONLY)
    os.close(lowest)

    read_file(path)
    for bad in (tmp_path, os.devnull):
        with pytest.raises(ValueError):
            read_file(bad)
    with pytest.raises(ValueError):
        read_file(path, limit=0)

    after = os.open(path, os.O_RDONLY)
    os.close(after)
    assert lowest == after


def test_file_inside_root_is_read(tmp_path):
    """
    A link that stays inside the root is followed.
    """
    (tmp_path / "a.txt").write_bytes(b"x")
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")

    assert (b"x", "text/plain") == read_file(tmp_path / "link.txt", root=tmp_path)


@pytest.mark.parametrize("way", ["link", "directory link", "climb", "sibling"])
def test_file_outside_root_is_refused(tmp_path, way):
    """
    Neither links nor ".." nor a root that begins alike lead out of the root.
    """
    root = tmp_path / "root"
    root.mkdir()
    outside = tmp_path / "root-other"
    outside.mkdir()
    (outside / "a.txt").write_bytes(b"LEAK")
    (root / "link.txt").symlink_to(outside / "a.txt")
    (root / "sub").symlink_to(outside)
    path = {
        "link": root / "link.txt",
        "directory link": root / "sub" / "a.txt",
        "climb": root / ".." / "root-other" / "a.txt",
        "sibling": outside / "a.txt",
    }[way]

    with pytest.raises(ValueError, match="is not inside") as caught:
        read_file(path, root=root)

    assert "LEAK" not in str(caught.value)


def test_home_and_variables_are_not_expanded(tmp_path, monkeypatch):
    """
    A path is taken as it is.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.txt").write_bytes(b"x")

    for path in ("~/a.txt", "$HOME/a.txt"):
        with pytest.raises(FileNotFoundError):
            read_file(path)


@pytest.mark.parametrize(
    ("url", "mime", "data"),
    [
        ("data:image/png;base64,aGk=", "image/png", b"hi"),
        ("DATA:IMAGE/PNG;BASE64,aGk=", "image/png", b"hi"),
        ("data:image/png;base64,aGk", "image/png", b"hi"),
        ("data:image/png;base64,aGk%3D", "image/png", b"hi"),
        ("data:image/png;base64,a\nG k=", "image/png", b"hi"),
        ("data:image/png;base64,-_-_", "image/png", b"\xfb\xff\xbf"),
        ("data:image/svg+xml;charset=utf-8;base64,aGk=", "image/svg+xml", b"hi"),
        ("data:text/plain,hello%20you%00", "text/plain", b"hello you\0"),
        ("data:,x", "text/plain", b"x"),
        ("data:;base64,aGk=", "text/plain", b"hi"),
        ("data:application/pdf;base64,", "application/pdf", b""),
    ],
)
def test_data_url_is_taken_apart(url, mime, data):
    """
    Base64 and percent forms give type and bytes.
    """
    assert (mime, data) == parse_data_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "data:image/png;base64",
        "data:image/png;base64;aGk=",
        "data:image/png;base64,a",
        "data:image/png;base64,LEAK!",
        "data:image/png;base64,aG=k",
        "data:image/png;base64,aGk\u00e9",
        "data:text/plain,caf\u00e9",
        "data:../../x,LEAK",
        "data:multipart/form-data,LEAK",
        "data:image/,LEAK",
        "data:" + ";a=b" * 100 + ",LEAK",
        "",
    ],
)
def test_data_url_that_is_not_valid_is_refused(url):
    """
    The error shows nothing of the URL.
    """
    with pytest.raises(ValueError, match="data: URL") as caught:
        parse_data_url(url)

    assert "LEAK" not in str(caught.value)


@pytest.mark.parametrize("form", ["base64", "percent"])
def test_data_url_is_bounded(monkeypatch, form):
    """
    More bytes than the limit are refused, as many are taken.
    """
    monkeypatch.setattr(files, "LIMIT", 10)
    encode = {
        "base64": lambda data: ";base64," + b64encode(data).decode(),
        "percent": lambda data: "," + "".join(f"%{byte:02x}" for byte in data),
    }[form]

    assert bytes(10) == parse_data_url("data:text/plain" + encode(bytes(10)))[1]
    for size in (11, 100):
        with pytest.raises(ValueError, match="more than 10 bytes"):
            parse_data_url("data:text/plain" + encode(bytes(size)))
