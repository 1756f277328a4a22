"""
The journal of a batch: its finished items on disk, so that what was paid for once is never paid again.

A file of JSON lines, and no database: people read it, ``grep`` it and count it while it grows, and one write
and one sync keep any number of items. Here is what its lines mean; how they get to the disk whole is told in
``lines``.

``append`` returns when its items are on disk. When a journal is opened, it is read once, and of each
answered item only its place is remembered (less than 100 bytes); ``recall`` reads the answer back from
there. Requests are matched by content alone, so that a list of them may be changed between two runs. What
ended in an error is not recalled: it is asked again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import IO, Any, NoReturn, Self

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
from ai_lib._core.log import logger
from ai_lib._host.lines import LineFile

_LOGGER = logger("batch")

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


def claim(path: Path, name: str, value: Any) -> Any:
    """
    Note something in a journal before anything else, or give what is noted there.

    Args:
        path: Of the journal, which is made if it is not there.

        name: Of the note.

        value: Its value, plain JSON.

    Returns:
        *value* if the journal is new; else what stands first in it under that name, ``None``: nothing.

    Raises:
        OSError: It cannot be opened, read or written.

        ConfigurationError: Another run has it open, it is no journal, or its first line is broken.
    """
    file = LineFile.open(os.fspath(path), fsync=True)
    try:
        with file.read() as lines:
            for _, _, line in _lines(lines, file.path):
                return line.value if line.note == name else None
        file.begin(HEADER)
        file.append(note_to_line(name, value))
    finally:
        file.close()
    return value


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


class Journal:
    """
    An open journal. All methods may be called from any thread, and may block as long as the disk does.

    It belongs to the process that opened it: a forked child has no part in it.

    Attributes:
        path: Of the file, as it was named.
    """

    def __init__(self, file: LineFile, *, keep_requests: bool) -> None:
        self.path = file.path
        self._file = file
        self._keep_requests = keep_requests
        self._notes: dict[str, Any] = {}
        self._answered = Places()
        self._looking = threading.Lock()

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
        file = LineFile.open(os.fspath(path), fsync=fsync)
        try:
            journal = cls(file, keep_requests=keep_requests)
            journal._load()  # it is our own
            file.begin(HEADER)
        except BaseException:
            file.close()
            raise
        return journal

    def _load(self) -> None:
        with self._file.read() as file:
            for _, place, line in _lines(file, self.path):
                if line.key is None:
                    self._set_note(line.note, line.value)
                elif line.answered:
                    self._answered.add(line.key, place)

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

        self._file.check()  # a forked child may not even wait for the lock
        with self._looking:
            if self._answered.take(key, is_its) is None:
                return None
        place, line = found[0]
        try:
            return line.item().restored(index, request)
        except ValueError as error:
            _broken(self.path, self._file.number_at(place), error)

    def _line_at(self, place: int) -> Line:
        try:
            return read_line(self._file.line_at(place))
        except ValueError as error:
            _broken(self.path, self._file.number_at(place), error)

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
        self._file.append(
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
        self._file.append(note_to_line(name, value))
        self._set_note(name, value)

    # The end

    def close(self) -> None:
        """
        Let go of the file, once what is under way is written; may be called twice.
        """
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Journal {self.path!r}>"
