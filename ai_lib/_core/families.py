"""
What families of models take, where that differs within one provider: data, and how to find a row.

A provider's record names its table. Rows are tried in order, the first that fits a model is its own, a
model that none fits takes everything. Say here only what is refused with an error: what a provider
ignores, or a recording shows it to accept, is sent.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def _words(value: Iterable[str]) -> frozenset[str]:
    return frozenset(value)


@attrs.frozen(kw_only=True)
class Family:
    """
    One row.

    Attributes:
        models: Pattern that fits the beginning of the names, in lower case.

        drop: Fields of a request that are refused.

        drop_while_reasoning: Fields that are refused unless the effort is ``"none"``.

        fixed: The only value that is taken of a field that is refused otherwise.

        efforts: As in ``Quirks``, before those.

        reasons_by_default: Whether no effort at all means one other than ``"none"``.

        tools_need_no_effort: Tools are refused with any effort but ``"none"``.

        whole_body: Fields to send when no stream is asked for, and no effort.
    """

    models: str
    drop: frozenset[str] = attrs.field(default=frozenset(), converter=_words)
    drop_while_reasoning: frozenset[str] = attrs.field(
        default=frozenset(), converter=_words
    )
    fixed: Mapping[str, float] = attrs.field(factory=dict)
    efforts: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    reasons_by_default: bool = True
    tools_need_no_effort: bool = False
    whole_body: Mapping[str, Any] = attrs.field(factory=dict)


def _as(**efforts: str) -> dict[str, dict[str, str]]:
    """
    Say that an effort is sent as another one.
    """
    return {asked: {"reasoning_effort": sent} for asked, sent in efforts.items()}


_SAMPLING = frozenset({"temperature", "top_p", "logprobs"})
_NEVER = frozenset({"frequency_penalty", "presence_penalty", "top_logprobs", "stop"})
_ONLY_ONE = {"temperature": 1}

# OpenAI, model pages and "Using GPT-5", read 2026-11; "tools_need_no_effort" also from several reports.
# Variants named chat do not reason and take everything.
_OPENAI = (
    Family(
        models=r"gpt-(?:5\.[6-9]|5\.\d\d|[6-9]|[1-9]\d)(?:\.\d+)?(?!\.?\d|-chat)",
        drop=_NEVER,
        drop_while_reasoning=_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(minimal="low"),
        tools_need_no_effort=True,
    ),
    Family(
        models=r"gpt-5\.5(?!\d|-chat)",
        drop=_NEVER,
        drop_while_reasoning=_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(minimal="low", max="xhigh"),
        tools_need_no_effort=True,
    ),
    Family(
        models=r"gpt-5\.4(?!\d|-chat)",
        drop=_NEVER,
        drop_while_reasoning=_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(minimal="low", max="xhigh"),
        reasons_by_default=False,
        tools_need_no_effort=True,
    ),
    Family(
        models=r"gpt-5\.[23](?!\d|-chat)",
        drop=_NEVER,
        drop_while_reasoning=_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(minimal="low", max="xhigh"),
        reasons_by_default=False,
    ),
    Family(
        models=r"gpt-5\.1(?!\d|-chat)",
        drop=_NEVER,
        drop_while_reasoning=_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(minimal="low", xhigh="high", max="high"),
        reasons_by_default=False,
    ),
    Family(
        models=r"gpt-5(?![.\d]|-chat)",
        drop=_NEVER | _SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(none="minimal", xhigh="high", max="high"),
    ),
    Family(
        models=r"o\d",
        drop=_NEVER | _SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(none="low", minimal="low", xhigh="high", max="high"),
    ),
)

# GroqCloud, "Reasoning", read 2026-11.
_GROQ = (
    Family(
        models=r"openai/gpt-oss",
        efforts=_as(none="low", minimal="low", xhigh="high", max="high"),
    ),
    Family(
        models=r"qwen/",
        efforts={
            "none": {"reasoning_effort": "none"},
            "*": {"reasoning_effort": "default"},
        },
    ),
    Family(
        models=r"llama|meta-llama/|moonshotai/|groq/|compound",
        drop=("reasoning_effort",),
    ),
)

# xAI, "Reasoning", read 2026-11.
_XAI = (
    Family(models=r"grok.*non-reasoning", drop=("reasoning_effort",)),
    Family(
        models=r"grok-(?:4(?!\.)|code)",
        drop=("reasoning_effort", "presence_penalty", "frequency_penalty", "stop"),
    ),
    Family(
        models=r"grok-(?:3-mini|4\.|[5-9]|latest|build)",
        drop=("presence_penalty", "frequency_penalty", "stop"),
        efforts=_as(minimal="low"),
    ),
)

# Kimi platform, "Chat completion", read 2026-11: the sampling of kimi-* is fixed.
_FIXED_SAMPLING = (
    "temperature",
    "top_p",
    "n",
    "presence_penalty",
    "frequency_penalty",
)
_MOONSHOT = (
    Family(
        models=r"kimi-k2\.[56]",
        drop=_FIXED_SAMPLING,
        efforts={
            "none": {"thinking": {"type": "disabled"}},
            "*": {"thinking": {"type": "enabled"}},
        },
    ),
    Family(
        models=r"kimi-",
        drop=_FIXED_SAMPLING,
        efforts=_as(none="low", minimal="low", medium="high", xhigh="max"),
    ),
)

# Mistral, "Reasoning", read 2026-11: only none and high exist, and only there.
_MISTRAL = (
    Family(
        models=r"mistral-(?:small|medium)",
        efforts=_as(
            minimal="none", low="high", medium="high", xhigh="high", max="high"
        ),
    ),
    Family(models=r"", drop=("reasoning_effort",)),
)

# Model Studio, "Deep thinking", read 2026-11: the open-weight hybrids think by default and then answer
# in streams only.
_QWEN = (
    Family(
        models=r"qwen3(?:\.\d+)?-\d+(?:\.\d+)?b", whole_body={"enable_thinking": False}
    ),
)

# Z.ai, "Thinking mode", read 2026-11: 5.3 cannot be told not to think.
_GLM = (
    Family(
        models=r"glm-5\.[3-9]",
        efforts=_as(none="low", minimal="low", medium="high", xhigh="max"),
    ),
    Family(
        models=r"glm-",
        efforts={
            "none": {"thinking": {"type": "disabled"}},
            "minimal": {"thinking": {"type": "disabled"}},
        },
    ),
)

# iFlytek, "Spark X HTTP", read 2026-11.
_SPARK = (Family(models=r"spark-x2\.5", drop=("temperature", "top_p")),)

FAMILIES: Mapping[str, tuple[Family, ...]] = {
    "openai": _OPENAI,
    "groq": _GROQ,
    "xai": _XAI,
    "moonshot": _MOONSHOT,
    "mistral": _MISTRAL,
    "qwen": _QWEN,
    "glm": _GLM,
    "spark": _SPARK,
}

#: The row of a model that no row fits.
PLAIN = Family(models="")


@lru_cache(maxsize=256)
def family_of(table: str, model: str) -> Family:
    """
    Find the row of *model* in a table, ``PLAIN`` if there is none.
    """
    name = model.lower()
    for family in FAMILIES.get(table, ()):
        if re.match(family.models, name):
            return family
    return PLAIN
