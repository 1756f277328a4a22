"""
What requests are called in a batch of a provider's: by their content, so that a later run finds its own again.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import attrs

from ai_lib._core.batch.apis import Result, mark_of
from ai_lib._core.batch.records import content_key
from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._core.http import HttpResponse


@attrs.define
class _Like:
    """
    The numbers of requests of one content.

    Attributes:
        recalled: How many were answered in an earlier run.

        seen: How many there were, those too.

        old: From where on a number is looked for that a job of an earlier run holds.

        new: Likewise, that none holds.

        spare: How many answers came that nobody asked for.
    """

    recalled: int = 0
    seen: int = 0
    old: int = 0
    new: int = 0
    spare: int = 0


@attrs.define(repr=False)
class Names:
    """
    The names of a batch's requests.

    Attributes:
        spare: Whether an answer was passed over that no request of this run is there for, and none that was
            recalled; the caller sets it back.
    """

    spare: bool = attrs.field(default=False, init=False)
    _like: dict[bytes, _Like] = attrs.field(factory=dict, init=False)
    _held: set[bytes] = attrs.field(factory=set, init=False)
    _claimed: set[bytes] = attrs.field(factory=set, init=False)

    def hold(self, marks: Iterable[bytes]) -> None:
        """
        Take the marks of what jobs of an earlier run hold.
        """
        self._held.update(marks)

    def held(self, custom_id: str) -> bool:
        """
        Whether a job of an earlier run holds it.
        """
        return mark_of(custom_id) in self._held

    def recalled(self, request: ChatCompletionRequest) -> None:
        """
        Count a request that an earlier run answered, if it may stand in a job of that run.
        """
        if self._held:
            like = self._like.setdefault(content_key(request), _Like())
            like.recalled += 1
            like.seen += 1

    def name(self, request: ChatCompletionRequest) -> str:
        """
        Name a request by its content, and a number to tell it from others like it: one that a job of an earlier run
        holds, while there are such. Letters, digits and a hyphen, below 64: what the strictest takes.

        Of those that such jobs held, what was recalled and what comes before this one are all that need not be held
        any more: so far it is looked.
        """
        key = content_key(request)
        like = self._like.setdefault(key, _Like())
        last, like.seen = like.seen, like.seen + 1
        named = partial("{}-{}".format, key.hex())
        if self._held:
            while like.old <= last and not self.held(named(like.old)):
                like.old += 1
            if like.old <= last:
                like.old += 1
                self._claimed.add(mark_of(named(like.old - 1)))
                return named(like.old - 1)
            while self.held(named(like.new)):
                like.new += 1
        like.new += 1
        return named(like.new - 1)

    def pass_over(self, result: Result) -> None:
        """
        Note a result that no request of this run is there for.
        """
        mark, answer = mark_of(result.custom_id), result.outcome
        good = isinstance(answer, HttpResponse) and answer.status < 400
        if good and mark in self._held and mark not in self._claimed:
            self._claimed.add(mark)
            key = bytes.fromhex(result.custom_id.partition("-")[0])
            like = self._like.setdefault(key, _Like())
            like.spare += 1
            self.spare = self.spare or like.spare > like.recalled
