"""
The journal of a batch: its finished items on disk, so that what was paid for once is never paid again.

A file of JSON lines, and no database: people read it, ``grep`` it and count it while it grows; one write
and one sync keep any number of items; and all that a kill can leave behind is a last line without its
end, which is seen at a glance and cut off. Nothing is ever changed in place.

``append`` returns when its items are on disk. When a journal is opened, it is read once, and of each
answered item only its place is remembered (less than 100 bytes); ``recall`` reads the answer back from
there. Requests are matched by content alone, so that a list of them may be changed between two runs. What
ended in an error is not recalled: it is asked again.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO, Any, NoReturn, Self
from weakref import WeakSet

import attrs

from ai_lib._core.batch import BatchItem
from ai_lib._core.batch.places import Places
from ai_lib._core.batch.records import (
    HEADER,
    JournalItem,
    Line,
    content_key,
    item_to_line,
    note_to_line,
    read_line,
)
from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._core.errors import ConfigurationError

_LOGGER = logging.getLogger("ai_lib.batch")

Path = str | os.PathLike[str]

#: What a block that never reached the disk reads as after a crash of the whole machine. JSON has none.
_LOST = b"\0"


def read_journal(path: Path) -> Iterator[JournalItem]:
    """
    Read the items of a journal, in the order in which they were finished; may be done while it grows.

    What stands behind the last whole line is left out.

    Raises:
        OSError: It cannot be read.

        ConfigurationError: It is no journal, or a line of it is broken.
    """
    name = os.fspath(path)
    with open(name, "rb") as file:  # noqa: PTH123  # as the caller named it
        for number, _, line in _lines(file, name):
            if line.key is not None:
                yield _item(line, name, number)


def _lines(file: IO[bytes], name: str) -> Iterator[tuple[int, int, Line]]:
    """
    Read lines behind the header; give the number, the place and what is on it, and stop at a torn one.

    Raises:
        ConfigurationError: It is no journal, or a line of it is broken.
    """
    place = _after_header(file.readline(len(HEADER)), name)
    for number, text in enumerate(file, 2):
        if not text.endswith(b"\n"):
            return
        if _LOST in text:
            _LOGGER.warning("%s, line %d was lost with the power.", name, number)
        else:
            yield number, place, _read(text, name, number)
        place += len(text)


def _after_header(start: bytes, name: str) -> int:
    if start == HEADER:
        return len(HEADER)
    if HEADER.startswith(start):
        return 0  # empty, or killed while its header was written
    if start.startswith(HEADER[:20]):
        raise ConfigurationError(
            f"{name} is a journal of a later release: use that, or another file."
        )
    raise ConfigurationError(
        f"{name} is not empty and no journal, so it was left as it is: name another file."
    )


def _read(text: bytes, name: str, number: int) -> Line:
    try:
        return read_line(text)
    except ValueError as error:
        _broken(name, number, error)


def _item(line: Line, name: str, number: int) -> JournalItem:
    try:
        return line.item()
    except ValueError as error:
        _broken(name, number, error)


def _broken(name: str, number: int, error: ValueError) -> NoReturn:
    raise ConfigurationError(
        f"{name}, line {number} is broken ({error}): take that line out, or name another file."
    ) from None


@attrs.define(eq=False)
class _Entry:
    """
    Lines on their way to the disk.
    """

    data: bytes
    done: bool = False
    error: OSError | None = None


class Journal:
    """
    An open journal. All methods may be called from any thread, and may block as long as the disk does.

    It belongs to the process that opened it: a forked child has no part in it.

    Attributes:
        path: Of the file, as it was named.
    """

    def __init__(
        self, path: str, file: IO[bytes], *, fsync: bool, keep_requests: bool
    ) -> None:
        self.path = path
        self._file = file
        self._fsync = fsync
        self._keep_requests = keep_requests
        self._notes: dict[str, Any] = {}
        self._answered = Places()
        self._end = 0
        self._torn = False
        self._writing = False
        self._forked = False
        self._entries: list[_Entry] = []
        self._changed = threading.Condition()
        self._position = threading.Lock()  # of the file, which is one for all
        _OPEN.add(self)

    @classmethod
    def open(
        cls, path: Path, *, fsync: bool = True, keep_requests: bool = False
    ) -> Self:
        """
        Open the journal at *path*, a new one if nothing is there, for this process alone.

        Args:
            path: Of a file that is a journal, or empty, or not there. A new one is for its owner only.

            fsync: Whether ``append`` waits for the disk. Without it a kill of the process loses nothing,
                a crash of the machine may.

            keep_requests: Whether items are written with their requests, to be read without the list of
                them; else an item's key and place must do.

        Raises:
            OSError: It cannot be opened or read.

            ConfigurationError: Another run has it open, it is no journal, or a line of it is broken.
        """
        name = os.fspath(path)
        file = _open_locked(name)
        try:
            journal = cls(name, file, fsync=fsync, keep_requests=keep_requests)
            journal._load()  # it is our own
        except BaseException:
            file.close()
            raise
        return journal

    def _load(self) -> None:
        with open(self._file.fileno(), "rb", closefd=False) as file:  # is open already
            for _, place, line in _lines(file, self.path):
                if line.key is None:
                    self._set_note(line.note, line.value)
                elif line.answered:
                    self._answered.add(line.key, place)
        self._end = self._whole_lines()
        size = os.fstat(self._file.fileno()).st_size
        if self._end == 0:
            # Over the part of it that may be there: the same bytes.
            self._write(HEADER)
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

    # What is there

    @property
    def answered(self) -> int:
        """
        How many answers are there to be recalled.
        """
        return len(self._answered)

    @property
    def notes(self) -> dict[str, Any]:
        """
        The notes, the newest of each name.
        """
        with self._changed:
            return dict(self._notes)

    def _set_note(self, name: str, value: Any) -> None:
        if value is None:
            self._notes.pop(name, None)
        else:
            self._notes[name] = value

    def recall(self, request: ChatCompletionRequest, index: int) -> BatchItem | None:
        """
        Give the item of a request with that content which an earlier run finished with an answer.

        Each is given once: three requests of one content need three. What was appended since the journal
        was opened is not given.

        Args:
            request: Becomes the item's.

            index: Likewise.

        Raises:
            OSError: It cannot be read.

            ConfigurationError: The journal is closed, its line is broken, or this is a forked child.
        """
        if not len(self._answered):
            return None
        key = content_key(request)
        found: list[tuple[int, Line]] = []

        def is_its(place: int) -> bool:
            line = self._line_at(place)
            found[:] = [(place, line)]
            return line.key == key

        with self._changed:
            self._check()
            if self._answered.take(key, is_its) is None:
                return None
        place, line = found[0]
        try:
            return line.item().restored(index, request)
        except ValueError as error:
            _broken(self.path, self._number_at(place), error)

    def _line_at(self, place: int) -> Line:
        blocks = []
        with self._position:
            self._file.seek(place)
            while block := self._file.read(1 << 13):
                line, end, _ = block.partition(b"\n")
                blocks.append(line)
                if end:
                    break
        try:
            return read_line(b"".join(blocks))
        except ValueError as error:
            _broken(self.path, self._number_at(place), error)

    def _number_at(self, place: int) -> int:
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

    # What is added

    def append(self, items: Iterable[BatchItem]) -> None:
        """
        Keep finished items; returns when they are on disk.

        Any number of them is one write and one sync, and so are those of several threads.

        Raises:
            OSError: They could not be kept, such as on a full disk. None of them was, and the file ends
                with a whole line.

            ConfigurationError: The journal is closed, or this is a forked child.
        """
        self._commit(
            b"".join(
                item_to_line(
                    item, content_key(item.request), keep_request=self._keep_requests
                )
                for item in items
            )
        )

    def note(self, name: str, value: Any) -> None:
        """
        Keep a small record beside the items, as ``append`` does; it replaces an earlier one of that name.

        Args:
            name: What it is found by in ``notes``.

            value: Plain JSON; ``None`` takes the note back.

        Raises:
            OSError: As for ``append``.

            ConfigurationError: Likewise.
        """
        self._commit(note_to_line(name, value))
        with self._changed:
            self._set_note(name, value)

    def _commit(self, data: bytes) -> None:
        """
        Have lines written: by this thread, with all that wait by then, or by another with its own.
        """
        if not data:
            return
        entry, group = _Entry(data), list[_Entry]()
        with self._changed:
            self._check()
            self._entries.append(entry)
            while self._writing and not entry.done:
                self._changed.wait()
            if not entry.done:
                self._check()
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

    def _check(self) -> None:
        if self._forked:
            raise ConfigurationError(
                f"The journal {self.path} belongs to the process that opened it, not to its children."
            )
        if self._file.closed:
            raise ConfigurationError(f"The journal {self.path} is closed.")

    # The end

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
        return f"<Journal {self.path!r}>"

    def _leave_to_parent(self) -> None:
        # Closing here leaves the parent's lock alone; kept open, a child that lives on would hold it.
        self._forked = True
        self._file.close()
        self._changed = threading.Condition()  # the old one may be held, by nobody


_OPEN: WeakSet[Journal] = WeakSet()


def _leave_all() -> None:
    for journal in _OPEN:
        journal._leave_to_parent()  # noqa: SLF001  # of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all)


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
