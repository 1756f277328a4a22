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

from ai_lib._core.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ai_lib._core.chat import ChatCompletionRequest
    from ai_lib._core.providers import ResolvedTarget


def _words(value: Iterable[str]) -> frozenset[str]:
    return frozenset(value)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Family(Record):
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

        only_one_of: Fields of which one is taken, the first that is set.

        takes: What not every model of the table can do, in words that the dialect knows.

        max_tokens: The bound of an answer that nobody named, where the format needs one.

        without_effect: Fields that are taken, and change nothing.

        model: Another name by which it is asked for.

        body: Fields that requests to it carry, unless they say the same themselves.
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
    only_one_of: tuple[str, ...] = ()
    takes: frozenset[str] = attrs.field(default=frozenset(), converter=_words)
    max_tokens: int = 4096
    without_effect: frozenset[str] = attrs.field(default=frozenset(), converter=_words)
    model: str = ""
    body: Mapping[str, Any] = attrs.field(factory=dict)


def _as(**efforts: str) -> dict[str, dict[str, str]]:
    """
    Say that an effort is sent as another one.
    """
    return {asked: {"reasoning_effort": sent} for asked, sent in efforts.items()}


# It gives its reasoning encrypted when asked to, for the next request; a model that does not reason refuses to
# be asked (Responses).
_SEALED = frozenset({"sealed_reasoning"})
_SAMPLING = frozenset({"temperature", "top_p", "logprobs"})
_NEVER = frozenset({"frequency_penalty", "presence_penalty", "top_logprobs", "stop"})
_ONLY_ONE = {"temperature": 1}

# OpenAI, model pages and "Using GPT-5", read 2026-11; "tools_need_no_effort" also from several reports.
# Variants named chat do not reason and take everything.
_OPENAI = (
    Family(
        models=r"gpt-(?:5\.[6-9]|5\.\d\d|[6-9]|[1-9]\d)(?:\.\d+)?(?!\.?\d|-chat)",
        takes=_SEALED,
        drop=_NEVER,
        drop_while_reasoning=_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(minimal="low"),
        tools_need_no_effort=True,
    ),
    Family(
        models=r"gpt-5\.5(?!\d|-chat)",
        takes=_SEALED,
        drop=_NEVER,
        drop_while_reasoning=_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(minimal="low", max="xhigh"),
        tools_need_no_effort=True,
    ),
    Family(
        models=r"gpt-5\.4(?!\d|-chat)",
        takes=_SEALED,
        drop=_NEVER,
        drop_while_reasoning=_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(minimal="low", max="xhigh"),
        reasons_by_default=False,
        tools_need_no_effort=True,
    ),
    Family(
        models=r"gpt-5\.[23](?!\d|-chat)",
        takes=_SEALED,
        drop=_NEVER,
        drop_while_reasoning=_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(minimal="low", max="xhigh"),
        reasons_by_default=False,
    ),
    Family(
        models=r"gpt-5\.1(?!\d|-chat)",
        takes=_SEALED,
        drop=_NEVER,
        drop_while_reasoning=_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(minimal="low", xhigh="high", max="high"),
        reasons_by_default=False,
    ),
    Family(
        models=r"gpt-5(?![.\d]|-chat)",
        takes=_SEALED,
        drop=_NEVER | _SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_as(none="minimal", xhigh="high", max="high"),
    ),
    Family(
        models=r"o\d",
        takes=_SEALED,
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
        takes=_SEALED,
        drop=("reasoning_effort", "presence_penalty", "frequency_penalty", "stop"),
    ),
    Family(
        models=r"grok-(?:3-mini|4\.|[5-9]|latest|build)",
        takes=_SEALED,
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

_CLAUDE = r"(?:.*[/.])?claude-"
_CLAUDE_SAMPLING = frozenset({"temperature", "top_p", "top_k"})


def _adaptive(effort: str) -> dict[str, Any]:
    # Without a word about it newer ones keep their thoughts to themselves.
    thinking = {"type": "adaptive", "display": "summarized"}
    return {"thinking": thinking, "output_config": {"effort": effort}}


def _budget(tokens: int, **config: str) -> dict[str, Any]:
    found: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": tokens}}
    return found | ({"output_config": config} if config else {})


_ADAPTIVE = {
    "minimal": _adaptive("low"),
    **{one: _adaptive(one) for one in ("low", "medium", "high", "xhigh", "max")},
}
_BUDGETS = {
    "none": {"thinking": {"type": "disabled"}},
    "minimal": _budget(1024),
    "low": _budget(2048),
    "medium": _budget(8192),
    "high": _budget(16384),
    "xhigh": _budget(16384),
    "max": _budget(16384),
}
_UNTHINKING = {"none": {"thinking": {"type": "disabled"}}}
_BRIEF = {"none": {"output_config": {"effort": "low"}}}

# Claude, model pages, "Adaptive thinking", "Structured outputs" and "Mid-conversation system messages",
# read 2026-11. Any name that is not known is taken for a newer one.
_ANTHROPIC = (
    Family(
        models=_CLAUDE + r"sonnet-5[.-]5(?!\d)",
        drop=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts={**_ADAPTIVE, "none": {"thinking": {"type": "between_tools"}}},
        takes=("json_schema", "strict", "system_turns"),
        max_tokens=16384,
    ),
    Family(
        models=_CLAUDE + r"haiku-5",
        drop=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts={**_ADAPTIVE, **_UNTHINKING},
        takes=("json_schema", "strict", "system_turns", "forced_calls"),
        max_tokens=16384,
    ),
    Family(
        models=_CLAUDE + r"(?:opus|sonnet)-5(?![.-]?\d(?!\d))",
        drop=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts={**_ADAPTIVE, **_UNTHINKING},
        takes=(
            "json_schema",
            "strict",
            "system_turns",
            "forced_calls",
            "foreign_thinking",
        ),
        max_tokens=16384,
    ),
    Family(
        models=_CLAUDE + r"opus-4[.-]8(?!\d)",
        drop=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts={**_ADAPTIVE, **_UNTHINKING},
        reasons_by_default=False,
        takes=(
            "json_schema",
            "strict",
            "system_turns",
            "forced_calls",
            "foreign_thinking",
        ),
        max_tokens=16384,
    ),
    Family(
        models=_CLAUDE + r"opus-4[.-]7(?!\d)",
        drop=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts={**_ADAPTIVE, **_UNTHINKING},
        reasons_by_default=False,
        takes=("json_schema", "strict", "forced_calls", "foreign_thinking"),
        max_tokens=16384,
    ),
    Family(
        models=_CLAUDE + r"(?:opus|sonnet)-4[.-]6(?!\d)",
        drop_while_reasoning=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts={**_ADAPTIVE, **_UNTHINKING, "xhigh": _adaptive("max")},
        reasons_by_default=False,
        only_one_of=("temperature", "top_p"),
        takes=("json_schema", "strict", "forced_calls", "foreign_thinking"),
        max_tokens=16384,
    ),
    Family(
        models=_CLAUDE + r"opus-4[.-]5(?!\d)",
        drop_while_reasoning=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts={
            **_BUDGETS,
            "minimal": _budget(1024, effort="low"),
            "low": _budget(2048, effort="low"),
            "medium": _budget(8192, effort="medium"),
            "high": _budget(16384, effort="high"),
            "xhigh": _budget(32768, effort="high"),
            "max": _budget(32768, effort="high"),
        },
        reasons_by_default=False,
        only_one_of=("temperature", "top_p"),
        takes=("json_schema", "strict", "forced_calls", "foreign_thinking"),
        max_tokens=8192,
    ),
    Family(
        models=_CLAUDE + r"(?:(?:sonnet|haiku)-4[.-]5(?!\d)|4[.-]5-)",
        drop_while_reasoning=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts={**_BUDGETS, "xhigh": _budget(32768), "max": _budget(32768)},
        reasons_by_default=False,
        only_one_of=("temperature", "top_p"),
        takes=("json_schema", "strict", "forced_calls", "foreign_thinking"),
        max_tokens=8192,
    ),
    Family(
        models=_CLAUDE + r"opus-4[.-]1(?!\d)",
        drop_while_reasoning=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_BUDGETS,
        reasons_by_default=False,
        only_one_of=("temperature", "top_p"),
        takes=("forced_calls", "foreign_thinking"),
        max_tokens=8192,
    ),
    Family(
        models=_CLAUDE
        + r"(?:(?:opus|sonnet)-4(?:[.-]0)?(?![.-]?\d(?!\d))|4-(?:opus|sonnet)|3[.-]7)",
        drop_while_reasoning=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts=_BUDGETS,
        reasons_by_default=False,
        takes=("forced_calls", "foreign_thinking"),
        max_tokens=8192,
    ),
    Family(
        models=_CLAUDE + r"(?:[123](?!\d)|v[12]|instant)",
        drop=("reasoning_effort",),
        reasons_by_default=False,
        takes=("forced_calls",),
    ),
    Family(
        models=_CLAUDE,
        drop=_CLAUDE_SAMPLING,
        fixed=_ONLY_ONE,
        efforts={**_ADAPTIVE, **_BRIEF},
        takes=("json_schema", "strict", "system_turns"),
        max_tokens=16384,
    ),
    # What others serve in Anthropic's format.
    Family(
        models=r"",
        efforts=_BUDGETS,
        reasons_by_default=False,
        takes=("forced_calls", "foreign_thinking"),
    ),
)

# Cohere, "Reasoning" and Chat API, "tool_choice", read 2026-11.
_COHERE = (
    Family(
        models=r"command-r7b|command-a-(?:\d|vision|translate)",
        drop=("reasoning_effort",),
    ),
    Family(
        models=r"command-r|command-light|command$|c4ai-",
        drop=("reasoning_effort", "tool_choice"),
    ),
)

# Ollama, "Thinking", read 2026-11: how much it thinks can be said, that it does not cannot.
_OLLAMA = (
    Family(
        models=r"(?:.*/)?gpt-oss",
        efforts={
            "none": {"think": "low"},
            "minimal": {"think": "low"},
            "xhigh": {"think": "high"},
            "max": {"think": "high"},
        },
    ),
)

# OpenRouter, "Responses API", read 2026-11: what cannot be had is left out there.
_OPENROUTER = (Family(models=r"", takes=_SEALED),)

# Perplexity, "Migrate from Sonar to the Agent API", read 2026-11; of the presets the last is inferred. A preset
# may bring the model of another vendor.
_PERPLEXITY = (
    Family(
        models=r"(?:perplexity/)?sonar$",
        model="perplexity/sonar",
        body={"tools": [{"type": "web_search"}]},
    ),
    Family(models=r"sonar-pro$", model="perplexity/sonar", body={"preset": "fast"}),
    Family(
        models=r"sonar-reasoning(?:-pro)?$",
        model="perplexity/sonar",
        body={"preset": "low"},
    ),
    Family(
        models=r"sonar-deep-research$",
        model="perplexity/sonar",
        body={"preset": "high"},
    ),
)

_GEMINI_SAMPLING = ("temperature", "top_p", "top_k")
_GEMINI_2 = frozenset({"system", "json_schema"})
_GEMINI_3 = _GEMINI_2 | {
    "json_with_tools",
    "remote_files",
    "media_in_results",
    "signed_calls",
}


def _levels(lowest: str, **others: str) -> dict[str, dict[str, Any]]:
    asked = {"none": lowest, "minimal": lowest, "xhigh": "high", "max": "high"}
    return {one: {"thinkingLevel": sent} for one, sent in (asked | others).items()}


def _thoughts(none: int, most: int) -> dict[str, dict[str, Any]]:
    # The budgets that Google's own OpenAI surface takes the words for.
    tokens = {"none": none, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
    tokens |= {"xhigh": most, "max": most}
    return {asked: {"thinkingBudget": sent} for asked, sent in tokens.items()}


# Gemini API, "Thinking", "Structured outputs", "Thought signatures" and the model pages, read 2026-11.
# Thinking cannot be switched off from 3 on. Any name that is not known is taken for a newer one.
_GEMINI = (
    Family(models=r"gemma-[1-3]", drop=("reasoning_effort",)),
    Family(
        models=r"gemma-",
        efforts=_levels("minimal", low="high", medium="high"),
        takes=("json_schema",),
    ),
    Family(models=r"gemini-(?:1|2\.0)", drop=("reasoning_effort",), takes=("system",)),
    Family(models=r"gemini-2\.5-pro", efforts=_thoughts(128, 32768), takes=_GEMINI_2),
    Family(
        models=r"gemini-2\.5|gemini-robotics-er-1",
        efforts=_thoughts(0, 24576),
        takes=_GEMINI_2,
    ),
    Family(
        models=r"gemini-3-pro", efforts=_levels("low", medium="high"), takes=_GEMINI_3
    ),
    Family(
        models=r"gemini-3\.1-pro|gemini-pro-latest",
        efforts=_levels("low"),
        takes=_GEMINI_3,
    ),
    Family(
        models=r"gemini-3(?:-|\.[1-5](?!\d))|gemini-flash-lite",
        efforts=_levels("minimal"),
        takes=_GEMINI_3,
    ),
    Family(
        models=r"gemini-3\.6",
        efforts=_levels("minimal"),
        takes=_GEMINI_3,
        without_effect=_GEMINI_SAMPLING,
    ),
    Family(
        models=r"gemini-(?:3\.|[4-9]|[1-9]\d|flash-latest)",
        efforts=_levels("low"),
        takes=_GEMINI_3,
        without_effect=_GEMINI_SAMPLING,
    ),
    Family(models=r"", efforts=_levels("low"), takes=_GEMINI_3),
)

# Vertex AI, "Inference", read 2026-11: it fetches files for every model.
_VERTEX = tuple(
    attrs.evolve(family, takes=family.takes | {"remote_files"}) for family in _GEMINI
)

# Bedrock, "Inference request parameters" and Converse API, read 2026-11. Claude's own fields are Anthropic's.
# Which models can be made to call a tool: ToolChoice, there.
_ON_BEDROCK = r"(?:.*[/.])?"
_NOVA_EFFORTS = {
    effort: {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": sent}}
    for effort, sent in {
        "minimal": "low",
        "low": "low",
        "medium": "medium",
        "high": "high",
        "xhigh": "high",
        "max": "high",
    }.items()
}
_BEDROCK = (
    *(family for family in _ANTHROPIC if family.models.startswith(_CLAUDE)),
    Family(
        models=_ON_BEDROCK + r"amazon\.nova-[2-9]",
        efforts={**_NOVA_EFFORTS, "none": {"reasoningConfig": {"type": "disabled"}}},
        reasons_by_default=False,
        takes=("forced_calls",),
    ),
    Family(
        models=_ON_BEDROCK + r"amazon\.nova",
        drop=("reasoning_effort",),
        reasons_by_default=False,
        takes=("forced_calls",),
    ),
    Family(
        models=_ON_BEDROCK + r"openai\.gpt-oss",
        efforts=_as(
            none="low",
            minimal="low",
            low="low",
            medium="medium",
            high="high",
            xhigh="high",
            max="high",
        ),
        reasons_by_default=False,
    ),
    Family(
        models=_ON_BEDROCK + r"qwen\.qwen3",
        efforts={
            "none": {},
            **{
                effort: {"reasoning_config": sent}
                for effort, sent in {
                    "minimal": "low",
                    "low": "low",
                    "medium": "medium",
                    "high": "high",
                    "xhigh": "high",
                    "max": "high",
                }.items()
            },
        },
        reasons_by_default=False,
    ),
    Family(
        models=_ON_BEDROCK + r"mistral\.",
        drop=("reasoning_effort",),
        reasons_by_default=False,
        takes=("json_results",),
    ),
    Family(
        models=_ON_BEDROCK + r"(?:meta\.|amazon\.titan|deepseek\.r1)",
        drop=("reasoning_effort", "top_k"),
        reasons_by_default=False,
    ),
    Family(models=r"", drop=("reasoning_effort",), reasons_by_default=False),
)

FAMILIES: Mapping[str, tuple[Family, ...]] = {
    "openai": _OPENAI,
    "groq": _GROQ,
    "xai": _XAI,
    "moonshot": _MOONSHOT,
    "mistral": _MISTRAL,
    "qwen": _QWEN,
    "glm": _GLM,
    "spark": _SPARK,
    "openrouter": _OPENROUTER,
    "perplexity": _PERPLEXITY,
    "cohere": _COHERE,
    "ollama": _OLLAMA,
    "anthropic": _ANTHROPIC,
    "gemini": _GEMINI,
    "vertex": _VERTEX,
    "bedrock": _BEDROCK,
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


def dialect_for(
    target: ResolvedTarget, request: ChatCompletionRequest, model: str
) -> str:
    """
    Name the dialect in which *request* goes to *model*.

    It is the target's own, but for tools together with an effort: a family that takes these in another
    dialect only is asked in the one that the record names for them.
    """
    other = target.spec.quirks.tools_with_effort
    if not other or not request.tools or request.reasoning_effort in (None, "none"):
        return target.dialect
    named = target.options.get("base_model") or model
    family = family_of(target.spec.quirks.families, named)
    return other if family.tools_need_no_effort else target.dialect
