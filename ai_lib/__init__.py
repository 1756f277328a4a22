"""
One typed interface to every large language model provider, blocking. ``ai_lib_async`` is its twin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_lib import _quiet as _quiet
from ai_lib._core.version import __version__ as __version__

if TYPE_CHECKING:
    from ai_lib._batch import BatchRun as BatchRun
    from ai_lib._client import AiClient as AiClient
    from ai_lib._client import Transport as Transport
    from ai_lib._client import quick_chat_text as quick_chat_text
    from ai_lib._public import *  # noqa: F403  # its __all__ is ours
    from ai_lib._stream import ChatCompletionStream as ChatCompletionStream
else:  # a checker would take every name for one that is there
    from ai_lib._core.face import face

    __all__, __getattr__, __dir__ = face(
        __name__,
        {
            "_batch": ("BatchRun",),
            "_client": ("AiClient", "Transport", "quick_chat_text"),
            "_stream": ("ChatCompletionStream",),
        },
    )
    del face
