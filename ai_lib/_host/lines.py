"""
A file of whole lines that one process at a time adds to, kept on disk whatever happens.

Nothing is ever changed in place; all that a kill can leave behind is a last line without its end, which is seen at
a glance and cut off. What the lines mean is none of this module's business; that is ``journal``'s.
"""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from typing import IO, Any, Self

import attrs

from ai_lib._core.errors import ConfigurationError
from ai_lib._core.forks import renew_after_fork
from ai_lib._core.log import logger

_LOGGER = logger("batch")


@attrs.define(eq=False)
class _Entry:
    """
    Lines on their way to the disk.
    """

    data: bytes
    done: bool = False
    error: OSError | None = None


class LineFile:
    """
    An open file of lines. All methods may be called from any thread, and may block as long as the disk does.

    It belongs to the process that opened it: a forked child has no part in it.

    Attributes:
        path: Of the file, as it was named.
    """

    def __init__(self, path: str, file: IO[bytes], *, fsync: bool) -> None:
        self.path = path
        self._file = file
        self._fsync = fsync
        self._end = 0
        self._torn = False
        self._writing = False
        self._forked = False
        self._entries: list[_Entry] = []
        self._changed = threading.Condition()
        self._position = threading.Lock()  # of the file, which is one for all
        renew_after_fork(self)

    @classmethod
    def open(cls, path: str, *, fsync: bool) -> Self:
        """
        Open the file at *path*, a new one if nothing is there, for this process alone. ``read`` it, then
        ``begin``.

        Args:
            path: Of a regular file. A new one is for its owner only.

            fsync: Whether ``append`` waits for the disk.

        Raises:
            OSError: It cannot be opened.

            ConfigurationError: Another run has it open, or it is no regular file.
        """
        return cls(path, _open_locked(path), fsync=fsync)

    def read(self) -> IO[bytes]:
        """
        Give what is there, from its beginning, to be read before ``begin``; closing it leaves this one open.
        """
        self._file.seek(0)
        return open(self._file.fileno(), "rb", closefd=False)  # is open already

    def begin(self, header: bytes) -> None:
        """
        Cut off a torn last line, and write the first one if none is whole.

        Raises:
            OSError: It cannot be read or written.
        """
        self._end = self._whole_lines()
        size = os.fstat(self._file.fileno()).st_size
        if self._end == 0:
            # Over the part of it that may be there: the same bytes.
            self._write(header)
            _sync_folder(self.path)
        elif self._end < size:
            _LOGGER.warning("%s: the last line was torn, and is cut off.", self.path)
            self._cut()

    def _whole_lines(self) -> int:
        """
        Find the end of the last whole line.
        """
        end = os.fstat(self._file.fileno()).st_size
        while end:
            start = max(0, end - (1 << 16))
            self._file.seek(start)
            block = self._read_exactly(end - start)
            if (last := block.rfind(b"\n")) >= 0:
                return start + last + 1
            end = start
        return 0

    def _read_exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (more := self._file.read(size - len(found))):
            found += more
        return found

    def line_at(self, place: int) -> bytes:
        """
        Read the line that begins at *place*, without its end.

        Raises:
            OSError: It cannot be read.

            ConfigurationError: The file is closed, or this is a forked child.
        """
        self.check()
        blocks = []
        with self._position:
            self._file.seek(place)
            while block := self._file.read(1 << 13):
                line, end, _ = block.partition(b"\n")
                blocks.append(line)
                if end:
                    break
        return b"".join(blocks)

    def number_at(self, place: int) -> int:
        """
        Count the lines up to *place*, for a message.
        """
        with self._position:
            self._file.seek(0)
            count, left = 1, place
            while left and (block := self._file.read(min(left, 1 << 20))):
                count += block.count(b"\n")
                left -= len(block)
        return count

    def append(self, data: bytes) -> None:
        """
        Add lines; returns when they are on disk. Those of several threads are one write and one sync: of this
        thread, with all that wait by then, or of another with its own.

        Raises:
            OSError: They could not be kept, such as on a full disk. None of them was, and the file ends
                with a whole line.

            ConfigurationError: The file is closed, or this is a forked child.
        """
        if not data:
            return
        entry, group = _Entry(data), list[_Entry]()
        with self._changed:
            self.check()
            self._entries.append(entry)
            while self._writing and not entry.done:
                self._changed.wait()
            if not entry.done:
                self.check()
                group, self._entries = self._entries, []
                self._writing = True
        if group:
            self._write_group(group, entry)
        if entry.error is not None:
            # Each thread its own: an exception that several raise mixes up their tracebacks.
            raise OSError(entry.error.errno, entry.error.strerror, self.path)

    def _write_group(self, group: list[_Entry], own: _Entry) -> None:
        left = [one for one in group if one is not own]  # to be written by the next
        try:
            self._write(b"".join(one.data for one in group))
            left = []
        except OSError as error:
            for one in group:
                one.error = error
            left = []
        finally:
            with self._changed:
                for one in group:
                    one.done = one not in left
                self._entries[:0] = left
                self._writing = False
                self._changed.notify_all()

    def _write(self, data: bytes) -> None:
        """
        Put bytes behind the last whole line, all of them or none.
        """
        try:
            with self._position:
                if self._torn:
                    self._cut()
                self._torn = True
                self._file.seek(self._end)
                left = memoryview(data)
                while left:
                    left = left[self._file.write(left) :]
            if self._fsync:
                _sync(self._file.fileno())
            self._torn = False
            self._end += len(data)
        except BaseException:
            with suppress(OSError), self._position:  # else before the next write
                self._cut()
            raise

    def _cut(self) -> None:
        self._file.truncate(self._end)
        self._torn = False

    def check(self) -> None:
        """
        Raise if the file is not to be used any longer.

        Raises:
            ConfigurationError: It is closed, or this is a forked child.
        """
        if self._forked:
            raise ConfigurationError(
                f"The journal {self.path} belongs to the process that opened it, not to its children."
            )
        if self._file.closed:
            raise ConfigurationError(f"The journal {self.path} is closed.")

    def close(self) -> None:
        """
        Let go of the file, once what is under way is written; may be called twice.
        """
        with self._changed:
            while self._writing:
                self._changed.wait()
            if not self._file.closed:
                _unlock(self._file.fileno())
                self._file.close()
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LineFile {self.path!r}>"

    def renew(self) -> None:
        """
        Leave it to the parent, in a forked child.
        """
        # Closing here leaves the parent's lock alone; kept open, a child that lives on would hold it.
        self._forked = True
        self._file.close()
        self._changed = threading.Condition()  # the old one may be held, by nobody


# The file


def _open_locked(name: str) -> IO[bytes]:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    for _ in range(10):  # until what is locked is what the name still means
        file = open(name, "r+b", buffering=0, opener=_opener(flags))  # noqa: SIM115  # held
        try:
            _lock(file, name)
            here, there = os.fstat(file.fileno()), os.stat(name)  # noqa: PTH116  # beside fstat
            if os.path.samestat(here, there):
                return file
        except FileNotFoundError:
            file.close()  # taken away between two steps: make it anew
        except BaseException:
            file.close()
            raise
        file.close()
    raise ConfigurationError(f"{name} is replaced again and again by somebody else.")


def _opener(flags: int) -> Any:
    return lambda name, _: os.open(name, flags, 0o600)


def _lock(file: IO[bytes], name: str) -> None:
    import stat

    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        raise ConfigurationError(
            f"{name} is no regular file: name one for the journal."
        )
    try:
        _take_lock(file.fileno())
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise ConfigurationError(
                f"{name} is the journal of a run that is still going on: wait for it, or name another file."
            ) from None
        raise ConfigurationError(
            f"{name} cannot be locked ({error.strerror}): put the journal on a local disk."
        ) from error


try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    #: Behind the end of any journal: Windows keeps others from reading what is locked.
    _FAR = 2**62

    def _take_lock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        os.lseek(descriptor, 0, os.SEEK_SET)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        with suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]

else:

    def _take_lock(descriptor: int) -> None:
        # Of the open file, not of the process as ``lockf`` is: a second one in here is refused as well.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _sync(descriptor: int) -> None:
    # The size goes along with the data; times need not.
    getattr(os, "fdatasync", os.fsync)(descriptor)


def _sync_folder(name: str) -> None:
    """
    Have the name of a new file on disk as well.
    """
    with suppress(OSError):  # a folder cannot be opened on Windows
        folder = os.open(os.path.dirname(os.path.realpath(name)), os.O_RDONLY)  # noqa: PTH120
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
