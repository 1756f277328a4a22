"""
Flows driven by lists of replies.
"""

from __future__ import annotations

from ai_lib._core.flow import Read, Run, Send


def drive(flow, *replies, effects=None):
    """
    Drive a flow with replies: values for its ``Send`` and ``Read``, errors to be thrown in.

    Naps and closings are answered, functions are run.

    Args:
        effects: A list to which its effects are added, for flows that fail.

    Returns:
        The result and the effects.
    """
    seen = [] if effects is None else effects
    waiting = list(replies)
    reply = None
    try:
        while True:
            throws = isinstance(reply, BaseException)
            effect = flow.throw(reply) if throws else flow.send(reply)
            seen.append(effect)
            reply = _reply_to(effect, waiting)
    except StopIteration as done:
        assert not waiting, f"not asked for: {waiting}"
        return done.value, seen


def _reply_to(effect, waiting):
    if isinstance(effect, Send | Read):
        return waiting.pop(0)
    if isinstance(effect, Run):
        try:
            return effect.function()
        except Exception as error:  # noqa: BLE001  # the flow's to judge
            return error
    return None
