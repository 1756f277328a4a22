"""
What Claude wants in a request, whoever serves it and in whatever format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ai_lib._core.dialects._shared import Adjustments, as_dict

if TYPE_CHECKING:
    from ai_lib._core.chat import ChatCompletionRequest
    from ai_lib._core.families import Family

#: The least budget of thinking. "Extended thinking", read 2026-11.
_LEAST_BUDGET = 1024


def budget_within(
    fit: Adjustments, request: ChatCompletionRequest, said: dict[str, Any]
) -> dict[str, Any]:
    """
    Make a budget of thinking smaller than the bound of the whole answer.

    Args:
        fit: Told of it.

        request: Whose ``max_tokens`` is that bound.

        said: The fields of an effort, maybe with such a budget.
    """
    budget = as_dict(said.get("thinking")).get("budget_tokens")
    limit = request.max_tokens
    if budget is None or limit is None or budget < limit:
        return said
    parameter = f"reasoning_effort={request.reasoning_effort!r}"
    why = f"with max_tokens={limit}"
    if limit <= _LEAST_BUDGET:
        fit.leave_out(parameter, why=why)
        return {}
    budget = max(_LEAST_BUDGET, limit // 2)
    fit.change(parameter, f"a budget of {budget} tokens was sent", why=why)
    return {**said, "thinking": {"type": "enabled", "budget_tokens": budget}}


def why_refused(
    family: Family,
    request: ChatCompletionRequest,
    name: str,
    *,
    model: str,
    reasons: bool,
) -> str | None:
    """
    Say why *model* does not take a parameter of sampling, in words that follow its name; ``None``: it does.

    Args:
        reasons: Whether it thinks before it answers.
    """
    value = getattr(request, name)
    if value is None or family.fixed.get(name) == value:
        return None
    if name in family.drop:
        return f"with {model}"
    if name in family.drop_while_reasoning and reasons:
        return f"with {model} while it thinks"
    others = [one for one in family.only_one_of if getattr(request, one) is not None]
    return f"together with {others[0]}" if name in others[1:] else None


#: Keywords whose values are schemas under names of the caller's.
_NAMED_SCHEMAS = frozenset({"properties", "$defs", "definitions"})
_SCHEMAS = frozenset({"items", "anyOf", "allOf", "oneOf", "not", "prefixItems"})
#: Keywords that are refused. "Structured outputs", read 2026-11.
_NO_KEYWORDS = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
    }
)


def closed_schema(schema: Any) -> tuple[Any, set[str]]:
    """
    Say of every object that it has no more properties, as is required, and leave out what is refused.

    Returns:
        The schema, and the keywords that were left out.
    """
    if isinstance(schema, list | tuple):
        pairs = [closed_schema(one) for one in schema]
        return [one for one, _ in pairs], {word for _, lost in pairs for word in lost}
    if not isinstance(schema, Mapping):
        return schema, set()
    found: dict[str, Any] = {}
    lost: set[str] = set()
    for key, value in schema.items():
        if key in _NAMED_SCHEMAS and isinstance(value, Mapping):
            named = {name: closed_schema(one) for name, one in value.items()}
            found[key] = {name: one for name, (one, _) in named.items()}
            lost.update(*(words for _, words in named.values()))
        elif key in _SCHEMAS:
            found[key], words = closed_schema(value)
            lost |= words
        elif key in _NO_KEYWORDS or (key == "minItems" and value not in (0, 1)):
            lost.add(key)
        else:
            found[key] = value
    if _is_object(found):
        found.setdefault("additionalProperties", False)
    return found, lost


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    if kind is None:
        return "properties" in schema
    return kind == "object" or (isinstance(kind, list | tuple) and "object" in kind)


def close_schema(fit: Adjustments, schema: Any) -> Any:
    """
    Give a schema closed, and tell of what it lost.
    """
    closed, lost = closed_schema(schema)
    if lost:
        words = ", ".join(sorted(lost))
        fit.change(f"{words} in a schema", "the schema was sent without")
    return closed
