"""
Small, valid answers in every dialect's words, for the fuzzer to spoil: written by hand, recorded nowhere.
"""

from __future__ import annotations

from typing import Any

import attrs

Event = tuple[str, Any]


@attrs.frozen
class Seeds:
    """
    What one dialect's servers may say.

    Attributes:
        streams: Of events: name and data, a text being no JSON.

        bodies: Whole answers.

        errors: Bodies of errors.

        models: Pages of the list of models.
    """

    streams: list[list[Event]]
    bodies: list[Any]
    errors: list[Any]
    models: list[Any]

    def values_of_streams(self) -> list[Any]:
        """
        List the data of all events that are JSON.
        """
        return [
            data
            for events in self.streams
            for _, data in events
            if not isinstance(data, str)
        ]


# OpenAI's chat format


def _chunk(delta: Any, finish: str | None = None, **more: Any) -> Event:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1795000000}
    return "", {**head, "model": "m", "choices": [choice], **more}


_CHAT_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
_CHAT_CALL = {
    "index": 0,
    "id": "call_a",
    "type": "function",
    "function": {"name": "look", "arguments": '{"at": 1}'},
    "extra_content": {"google": {"thought_signature": "c2ln"}},
}
_LOGPROBS = {
    "content": [
        {
            "token": "He",
            "logprob": -0.1,
            "bytes": [72, 101],
            "top_logprobs": [{"token": "He", "logprob": -0.1, "bytes": [72, 101]}],
        }
    ],
    "refusal": None,
}
_DETAILS = [
    {
        "type": "reasoning.text",
        "text": "so ",
        "index": 0,
        "format": "x",
        "signature": "s",
    },
    {"type": "reasoning.encrypted", "data": "ZW5j", "id": "r1", "index": 1},
    {"type": "reasoning.summary", "summary": "short", "index": 2},
]
_SOURCES = {
    "citations": ["https://a.example/1", {"url": "https://b.example", "title": "B"}],
    "search_results": [{"title": "A", "url": "https://a.example/1", "date": None}],
}
_ANNOTATIONS = [
    {
        "type": "url_citation",
        "url_citation": {
            "url": "https://c.example",
            "title": "C",
            "start_index": 0,
            "end_index": 3,
            "content": "cited",
        },
    }
]
_PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
    {"type": "reference", "reference_ids": [1]},
    {"type": "text", "text": "said"},
]

OPENAI_CHAT = Seeds(
    streams=[
        [
            _chunk({"role": "assistant", "content": "", "refusal": None}),
            _chunk({"content": "Hel"}, usage=None),
            _chunk({"content": "lo \N{GRINNING FACE}"}),
            _chunk({}, "stop"),
            ("", {"id": "c1", "model": "m", "choices": [], "usage": _CHAT_USAGE}),
            ("", "[DONE]"),
        ],
        [
            _chunk({"role": "assistant", "content": None, "tool_calls": [_CHAT_CALL]}),
            _chunk(
                {"tool_calls": [{"index": 0, "function": {"arguments": ', "b": '}}]}
            ),
            _chunk({"tool_calls": [{"function": {"arguments": "2}"}}]}),
            _chunk({"tool_calls": [{**_CHAT_CALL, "index": 1, "id": "call_b"}]}),
            _chunk({"function_call": {"name": "old", "arguments": "{}"}}),
            _chunk({"content": ""}, "tool_calls", x_groq={"usage": _CHAT_USAGE}),
            ("", "[DONE]"),
        ],
        [
            _chunk({"reasoning_content": "let me"}),
            _chunk({"reasoning": "see", "reasoning_details": _DETAILS}),
            _chunk({"reasoning_details": _DETAILS[:1]}),
            _chunk({"content": _PARTS}),
            _chunk({"content": "<think>well"}),
            _chunk({"content": "</think> yes"}),
            _chunk({"refusal": "no"}),
            _chunk({"audio": {"id": "a", "transcript": "spoken"}}),
            _chunk({"annotations": _ANNOTATIONS}, **_SOURCES),
            _chunk({"content": "x"}, "length", usage=_CHAT_USAGE),
            ("", "[DONE]"),
        ],
        [
            (
                "",
                {
                    "choices": [
                        {"index": 1, "delta": {"content": "b"}, "logprobs": _LOGPROBS},
                        {"index": 0, "delta": {"content": "a"}, "logprobs": _LOGPROBS},
                    ]
                },
            ),
            ("", {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}),
            ("", {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
            ("", {"sid": "s1", "code": 0, "message": "Success", "choices": []}),
            ("", {"base_resp": {"status_code": 1008, "status_msg": "no credit"}}),
            ("error", {"error": {"message": "failed", "code": 500}}),
            ("", "[DONE]"),
        ],
    ],
    bodies=[
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1795000000,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "Hello",
                        "refusal": None,
                        "annotations": _ANNOTATIONS,
                        "reasoning_content": "hm",
                        "reasoning_details": _DETAILS,
                    },
                    "logprobs": _LOGPROBS,
                    "finish_reason": "stop",
                }
            ],
            "usage": _CHAT_USAGE,
            **_SOURCES,
        },
        {
            "choices": [
                {
                    "index": 1,
                    "message": {
                        "content": _PARTS,
                        "tool_calls": [_CHAT_CALL, {**_CHAT_CALL, "id": ""}],
                        "audio": {"transcript": "spoken"},
                    },
                    "finish_reason": "tool_calls",
                },
                {"message": {"content": "<think>a</think>b"}, "finish_reason": None},
            ],
            "usage": {"input_tokens": 1, "output_tokens": 2, "num_cached_tokens": 1},
            "x_groq": {"id": "r", "usage": _CHAT_USAGE},
        },
        {
            "sid": "s",
            "code": 0,
            "choices": [
                {
                    "message": {
                        "content": "x",
                        "tool_calls": {
                            "function": {"name": "f", "arguments": {"a": 1}}
                        },
                        "function_call": {"name": "f", "arguments": "{}"},
                    }
                }
            ],
            "base_resp": {"status_code": 0, "status_msg": "success"},
        },
    ],
    errors=[
        {
            "error": {
                "message": "Incorrect API key provided. Please try again in 20s.",
                "type": "invalid_request_error",
                "param": "model",
                "code": "invalid_api_key",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
                "metadata": {
                    "raw": '{"error": {"message": "upstream"}}',
                    "provider": "x",
                },
            }
        },
        {"error": "model not found", "code": 404, "request_id": "r1"},
        {
            "object": "error",
            "message": {"detail": [{"loc": ["body", "messages", 0], "msg": "missing"}]},
            "type": "invalid_request_error",
            "code": 3505,
        },
        {
            "errors": [{"code": 3036, "message": "used up"}],
            "success": False,
            "result": None,
        },
        {"base_resp": {"status_code": 1004, "status_msg": "login fail"}},
        {"code": 10013, "message": "content", "sid": "s1"},
        {
            "Response": {
                "Error": {"Code": "AuthFailure", "Message": "no"},
                "RequestId": "r",
            }
        },
        {"choices": [{"error": {"code": 502, "message": "up"}, "message": {}}]},
        [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota"}}],
        {"detail": "Not Found"},
        "plain words",
    ],
    models=[
        {
            "object": "list",
            "data": [
                {
                    "id": "m-1",
                    "object": "model",
                    "created": 1795000000,
                    "owned_by": "o",
                    "context_length": 8192,
                    "top_provider": {"max_completion_tokens": 100},
                    "meta": {"n_ctx_train": 2048},
                },
                {"name": "m-2", "display_name": "M 2", "max_model_len": 9},
            ],
        },
        {"success": True, "result": [{"id": "uuid", "name": "@cf/a"}]},
        [{"id": "a"}, {"model": "models/b"}],
    ],
)


# OpenAI's Responses format

_ITEM_TEXT = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "phase": "final_answer",
    "content": [
        {
            "type": "output_text",
            "text": "Hello",
            "annotations": [
                {
                    "type": "url_citation",
                    "url": "https://a.example",
                    "title": "A",
                    "start_index": 0,
                    "end_index": 5,
                },
                {
                    "type": "file_citation",
                    "file_id": "f",
                    "filename": "f.txt",
                    "index": 2,
                },
            ],
            "logprobs": _LOGPROBS["content"],
        },
        {"type": "refusal", "refusal": "no"},
    ],
}
_ITEM_REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "thought"}],
    "content": [{"type": "reasoning_text", "text": "all of it"}],
    "encrypted_content": "c2VhbGVk",
}
_ITEM_CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_a",
    "name": "look",
    "arguments": '{"at": 1}',
}
_ITEM_CUSTOM = {
    "id": "ct_1",
    "type": "custom_tool_call",
    "call_id": "call_b",
    "name": "raw",
    "input": "text",
    "namespace": "n",
}
_ITEM_SEARCH = {
    "type": "search_results",
    "results": [{"url": "https://s.example", "title": "S", "snippet": "cut"}],
    "contents": [{"url": "https://t.example"}],
}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1795000000,
    "status": "completed",
    "background": False,
    "error": None,
    "incomplete_details": None,
    "model": "m",
    "output": [_ITEM_REASONING, _ITEM_TEXT, _ITEM_CALL],
    "usage": {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 9,
    },
}


def _event(kind: str, **more: Any) -> Event:
    return f"response.{kind}", {
        "type": f"response.{kind}",
        "sequence_number": 1,
        **more,
    }


def _piece(kind: str, **more: Any) -> Event:
    return _event(kind, item_id="msg_1", output_index=1, content_index=0, **more)


OPENAI_RESPONSES = Seeds(
    streams=[
        [
            _event(
                "created", response={**_RESPONSE, "status": "in_progress", "output": []}
            ),
            _event("output_item.added", output_index=0, item={**_ITEM_REASONING}),
            _event("reasoning_summary_text.delta", output_index=0, delta="thou"),
            _event("reasoning_summary_text.delta", summary_index=1, delta="ght"),
            _event("reasoning_summary_text.done", output_index=0, text="thought more"),
            _event("output_item.done", output_index=0, item=_ITEM_REASONING),
            _event(
                "output_item.added", output_index=1, item={**_ITEM_TEXT, "content": []}
            ),
            _piece("output_text.delta", delta="Hel", logprobs=_LOGPROBS["content"]),
            _piece("output_text.delta", delta="lo"),
            _piece(
                "output_text.annotation.added",
                annotation_index=0,
                annotation={
                    "type": "url_citation",
                    "url": "https://a.example",
                    "start_index": 0,
                    "end_index": 5,
                },
            ),
            _piece("output_text.done", text="Hello there"),
            _piece("refusal.delta", delta="no"),
            _piece("refusal.done", refusal="no!"),
            _event("output_item.done", output_index=1, item=_ITEM_TEXT),
            _event("completed", response=_RESPONSE),
        ],
        [
            _event("in_progress", response={"id": "resp_1"}),
            _event(
                "output_item.added",
                output_index=0,
                item={**_ITEM_CALL, "arguments": ""},
            ),
            _event("function_call_arguments.delta", output_index=0, delta='{"at'),
            _event(
                "function_call_arguments.done", output_index=0, arguments='{"at": 1}'
            ),
            _event("output_item.done", output_index=0, item=_ITEM_CALL),
            _event("output_item.added", item=_ITEM_CUSTOM),
            _event("custom_tool_call_input.delta", item_id="ct_1", delta="te"),
            _event("custom_tool_call_input.done", item_id="ct_1", input="text"),
            _event("output_item.done", item={**_ITEM_CUSTOM, "input": {"a": [1]}}),
            _event("incomplete", response={**_RESPONSE, "output": [_ITEM_CUSTOM]}),
        ],
        [
            _event("reasoning.started", thought="let me"),
            _event("reasoning.search_results", **_ITEM_SEARCH),
            _event("output_item.done", item=_ITEM_SEARCH, output_index=0),
            _event("reasoning_text.delta", item_id="r", content_index=0, delta="so"),
            _event(
                "failed",
                response={"status": "failed", "error": {"code": "server_error"}},
            ),
        ],
        [
            ("", {"type": "error", "code": "rate_limit_exceeded", "message": "slow"}),
            ("error", {"error": {"message": "down", "code": 500}}),
            ("", "[DONE]"),
        ],
    ],
    bodies=[
        _RESPONSE,
        {
            **_RESPONSE,
            "output": [_ITEM_CALL, _ITEM_CUSTOM, _ITEM_SEARCH],
            "usage": None,
        },
        {
            **_RESPONSE,
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [{"type": "message", "content": "plain"}, {"type": "compaction"}],
        },
        {**_RESPONSE, "status": "queued", "output": [], "background": True},
        {"id": "resp/../x?y#z", "status": "in_progress"},
    ],
    errors=[
        {
            **_RESPONSE,
            "status": "failed",
            "error": {"code": "server_error", "message": "x"},
        },
        {"status": "cancelled"},
        *OPENAI_CHAT.errors[:3],
    ],
    models=OPENAI_CHAT.models,
)


# Anthropic's Messages

_CLAUDE_USAGE = {
    "input_tokens": 9,
    "cache_creation_input_tokens": 2,
    "cache_read_input_tokens": 3,
    "output_tokens": 5,
    "output_tokens_details": {"thinking_tokens": 1},
    "service_tier": "standard",
}
_CITED = {
    "type": "web_search_result_location",
    "url": "https://a.example",
    "title": "A",
    "cited_text": "words",
    "encrypted_index": "aW5k",
}
_CLAUDE_BLOCKS: list[Any] = [
    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "ZW5j"},
    {
        "type": "server_tool_use",
        "id": "srv_1",
        "name": "web_search",
        "input": {"query": "q"},
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srv_1",
        "content": [
            {"type": "web_search_result", "url": "https://a.example", "title": "A"}
        ],
    },
    {"type": "text", "text": "Hello", "citations": [_CITED]},
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
]


def _start(index: int, **block: Any) -> Event:
    kind = "content_block_start"
    return kind, {"type": kind, "index": index, "content_block": block}


def _delta(index: int, kind: str, **more: Any) -> Event:
    name = "content_block_delta"
    return name, {"type": name, "index": index, "delta": {"type": kind, **more}}


def _stop(index: int) -> Event:
    return "content_block_stop", {"type": "content_block_stop", "index": index}


_CLAUDE_START: Event = (
    "message_start",
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [],
            "stop_reason": None,
            "usage": _CLAUDE_USAGE,
        },
    },
)


def _claude_end(reason: str, **more: Any) -> list[Event]:
    delta = {"stop_reason": reason, "stop_sequence": None, **more}
    told = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}}
    return [("message_delta", told), ("message_stop", {"type": "message_stop"})]


ANTHROPIC_MESSAGES = Seeds(
    streams=[
        [
            _CLAUDE_START,
            _start(0, type="thinking", thinking="", signature=""),
            ("ping", {"type": "ping"}),
            _delta(0, "thinking_delta", thinking="hm"),
            _delta(0, "signature_delta", signature="c2ln"),
            _stop(0),
            _start(1, type="text", text=""),
            _delta(1, "text_delta", text="Hel"),
            _delta(1, "citations_delta", citation=_CITED),
            _delta(1, "text_delta", text="lo"),
            _stop(1),
            *_claude_end("end_turn"),
        ],
        [
            _CLAUDE_START,
            _start(0, **_CLAUDE_BLOCKS[1]),
            _stop(0),
            _start(1, **{**_CLAUDE_BLOCKS[2], "input": {}}),
            _delta(1, "input_json_delta", partial_json='{"query": "q"}'),
            _stop(1),
            _start(2, **_CLAUDE_BLOCKS[3]),
            _stop(2),
            _start(3, type="tool_use", id="toolu_1", name="look", input={}),
            _delta(3, "input_json_delta", partial_json=""),
            _delta(3, "input_json_delta", partial_json='{"at": 1}'),
            _stop(3),
            _start(4, **_CLAUDE_BLOCKS[5]),
            _stop(4),
            *_claude_end("tool_use"),
        ],
        [
            _delta(0, "text_delta", text="no beginning"),
            _start(1, type="compaction", content=None),
            _delta(1, "compaction_delta", content="short"),
            _stop(1),
            *_claude_end(
                "refusal", stop_details={"category": "x", "explanation": "no"}
            ),
        ],
        [
            _CLAUDE_START,
            ("error", {"type": "error", "error": {"type": "overloaded_error"}}),
            ("error", "not json"),
            ("", "[DONE]"),
        ],
    ],
    bodies=[
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": _CLAUDE_BLOCKS,
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {
                **_CLAUDE_USAGE,
                "iterations": [
                    {"type": "compaction", "input_tokens": 3, "output_tokens": 1},
                    {"type": "message", "input_tokens": 4, "output_tokens": 2},
                ],
            },
        },
        {
            "content": "plain",
            "stop_reason": "refusal",
            "stop_details": {"category": "x"},
        },
        {"content": [{"type": "text", "text": "a"}], "base_resp": {"status_code": 0}},
    ],
    errors=[
        {
            "type": "error",
            "error": {"type": "rate_limit_error", "message": "slow down"},
            "request_id": "req_1",
        },
        {"type": "error", "error": {"details": None, "type": "not_found_error"}},
        *OPENAI_CHAT.errors[1:4],
    ],
    models=[
        {
            "data": [
                {
                    "type": "model",
                    "id": "claude-x",
                    "display_name": "Claude X",
                    "created_at": "2026-01-01T00:00:00Z",
                    "max_input_tokens": 200000,
                    "max_tokens": 64000,
                }
            ],
            "has_more": True,
            "first_id": "claude-x",
            "last_id": "claude-x",
        }
    ],
)


# Gemini

_SAFETY = [{"category": "HARM_CATEGORY_HATE_SPEECH", "probability": "NEGLIGIBLE"}]
_GEMINI_USAGE = {
    "promptTokenCount": 9,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 2,
    "toolUsePromptTokenCount": 1,
    "cachedContentTokenCount": 3,
    "totalTokenCount": 17,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
}
_GROUNDING = {
    "webSearchQueries": ["q"],
    "groundingChunks": [
        {"web": {"uri": "https://a.example", "title": "A"}},
        {"retrievedContext": {"uri": "gs://b", "title": "B", "text": "cited"}},
    ],
    "groundingSupports": [
        {
            "segment": {"startIndex": 0, "endIndex": 5, "text": "Hello"},
            "groundingChunkIndices": [0, 1],
        }
    ],
}
_GEMINI_PARTS: list[Any] = [
    {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
    {"text": "Hell\N{LATIN SMALL LETTER O WITH DIAERESIS}"},
    {
        "functionCall": {"name": "look", "args": {"at": 1}, "id": "f1"},
        "thoughtSignature": "c2ln",
    },
    {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
    {"executableCode": {"language": "PYTHON", "code": "1"}},
    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
]


def _candidate(parts: list[Any], **more: Any) -> Any:
    return {"content": {"parts": parts, "role": "model"}, "index": 0, **more}


def _gemini(candidate: Any, **more: Any) -> Event:
    head = {"modelVersion": "gemini-x", "responseId": "r1"}
    return "", {"candidates": [candidate], **head, **more}


GEMINI = Seeds(
    streams=[
        [
            _gemini(_candidate(_GEMINI_PARTS[:1])),
            _gemini(
                _candidate([{"text": "Hel"}]), usageMetadata={"totalTokenCount": 9}
            ),
            _gemini(_candidate([{"text": "lo"}], groundingMetadata=_GROUNDING)),
            _gemini(
                _candidate([{"text": ""}], finishReason="STOP", safetyRatings=_SAFETY),
                usageMetadata=_GEMINI_USAGE,
                createTime="2026-11-01T10:00:00.123456Z",
            ),
        ],
        [
            _gemini(_candidate(_GEMINI_PARTS[2:4])),
            _gemini(
                _candidate([{"functionCall": {"name": "f", "willContinue": True}}])
            ),
            _gemini(
                _candidate(
                    [
                        {
                            "functionCall": {
                                "partialArgs": [
                                    {"jsonPath": "$.a[0].b", "stringValue": "x"},
                                    {"jsonPath": "$.a[1]", "numberValue": 2},
                                    {"jsonPath": "$['c']", "boolValue": True},
                                    {"jsonPath": "$.d", "nullValue": None},
                                ],
                                "willContinue": True,
                            }
                        }
                    ]
                )
            ),
            _gemini(_candidate([{"functionCall": {}}])),
            _gemini(_candidate(_GEMINI_PARTS[4:], finishReason="STOP")),
            ("", {"usageMetadata": _GEMINI_USAGE}),
        ],
        [
            _gemini(
                _candidate(
                    [{"text": "a"}],
                    finishReason="SAFETY",
                    finishMessage="no",
                    citationMetadata={
                        "citationSources": [
                            {"startIndex": 0, "endIndex": 1, "uri": "https://c.example"}
                        ]
                    },
                    urlContextMetadata={
                        "urlMetadata": [
                            {
                                "retrievedUrl": "https://d.example",
                                "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS",
                            }
                        ]
                    },
                    logprobsResult={
                        "chosenCandidates": [{"token": "a", "logProbability": -1}]
                    },
                )
            ),
            ("", {"candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}}]}),
            (
                "",
                {"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": _SAFETY}},
            ),
            (
                "",
                {
                    "error": {
                        "code": 503,
                        "message": "overloaded",
                        "status": "UNAVAILABLE",
                    }
                },
            ),
            ("error", "down"),
            ("", "[DONE]"),
        ],
    ],
    bodies=[
        {
            "candidates": [
                _candidate(
                    _GEMINI_PARTS,
                    finishReason="STOP",
                    groundingMetadata=_GROUNDING,
                    avgLogprobs=-0.1,
                )
            ],
            "usageMetadata": _GEMINI_USAGE,
            "modelVersion": "gemini-x",
            "responseId": "r1",
            "createTime": "2026-11-01T10:00:00Z",
        },
        {
            "candidates": [
                _candidate(
                    _GEMINI_PARTS[1:2],
                    finishReason="RECITATION",
                    finishMessage="known",
                    citationMetadata={
                        "citations": [{"endIndex": 4, "uri": "https://e.example"}]
                    },
                ),
                {"index": 1, "content": {}, "finishReason": "MAX_TOKENS"},
            ],
        },
        {"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": "no"}},
    ],
    errors=[
        {
            "error": {
                "code": 429,
                "message": "Quota exceeded for metric.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                        "violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}],
                    },
                    {
                        "@type": "type.googleapis.com/google.rpc.RetryInfo",
                        "retryDelay": "21s",
                    },
                    {
                        "@type": "x",
                        "reason": "API_KEY_INVALID",
                        "domain": "googleapis.com",
                    },
                ],
            }
        },
        [{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}],
    ],
    models=[
        {
            "models": [
                {
                    "name": "models/gemini-x",
                    "displayName": "Gemini X",
                    "inputTokenLimit": 1000,
                    "outputTokenLimit": 100,
                    "supportedGenerationMethods": ["generateContent"],
                }
            ],
            "nextPageToken": "dG9r",
        }
    ],
)


# Cohere

_COHERE_USAGE = {
    "billed_units": {"input_tokens": 4, "output_tokens": 5},
    "tokens": {"input_tokens": 9, "output_tokens": 5},
    "cached_tokens": 1,
}
_COHERE_CALL = {
    "id": "look_1",
    "type": "function",
    "function": {"name": "look", "arguments": '{"at": 1}'},
}
_COHERE_CITATION = {
    "start": 0,
    "end": 5,
    "text": "Hello",
    "type": "TEXT_CONTENT",
    "sources": [
        {"type": "tool", "id": "t:0", "tool_output": {"url": "https://a.example"}},
        {"type": "document", "id": "d", "document": {"id": "d", "title": "D"}},
    ],
}


def _cohere(kind: str, message: Any = None, **more: Any) -> Event:
    told = {"delta": {"message": message}} if message is not None else {}
    return kind, {"type": kind, "index": 0, **told, **more}


COHERE_V2 = Seeds(
    streams=[
        [
            _cohere("message-start", {"role": "assistant", "content": []}, id="c1"),
            _cohere(
                "content-start", {"content": {"type": "thinking", "thinking": "h"}}
            ),
            _cohere("content-delta", {"content": {"thinking": "m"}}),
            _cohere("content-end"),
            _cohere(
                "content-start", {"content": {"type": "text", "text": ""}}, index=1
            ),
            _cohere(
                "content-delta",
                {"content": {"text": "Hello"}},
                logprobs={"text": "Hello", "token_ids": [1], "logprobs": [-0.1]},
            ),
            _cohere("citation-start", {"citations": _COHERE_CITATION}),
            _cohere("citation-end"),
            _cohere(
                "message-end",
                delta={"finish_reason": "COMPLETE", "usage": _COHERE_USAGE},
            ),
        ],
        [
            _cohere("message-start", {"role": "assistant"}, id="c1"),
            _cohere("tool-plan-delta", {"tool_plan": "I will look."}),
            _cohere("tool-call-start", {"tool_calls": {**_COHERE_CALL}}),
            _cohere(
                "tool-call-delta", {"tool_calls": {"function": {"arguments": "{}"}}}
            ),
            _cohere("tool-call-end"),
            _cohere(
                "tool-call-start",
                {
                    "tool_calls": {
                        "id": "b",
                        "function": {"name": "f", "arguments": "nu"},
                    }
                },
                index=1,
            ),
            _cohere(
                "tool-call-delta",
                {"tool_calls": {"function": {"arguments": "ll"}}},
                index=1,
            ),
            _cohere("message-end", delta={"finish_reason": "TOOL_CALL"}),
            ("", "[DONE]"),
        ],
        [
            _cohere("message-end", delta={"finish_reason": "ERROR", "error": "failed"}),
            ("", {"message": "too many tokens", "id": "e1"}),
        ],
    ],
    bodies=[
        {
            "id": "c1",
            "message": {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm"},
                    {"type": "text", "text": "Hello"},
                ],
                "tool_plan": "I will look.",
                "tool_calls": [_COHERE_CALL],
                "citations": [_COHERE_CITATION],
            },
            "finish_reason": "TOOL_CALL",
            "usage": _COHERE_USAGE,
            "logprobs": [{"text": "Hello", "token_ids": [1], "logprobs": [-0.1]}],
        },
        {
            "message": {
                "content": "plain",
                "tool_calls": [{"function": {"arguments": None}}],
            }
        },
    ],
    errors=[
        {"id": "e1", "message": "invalid api token"},
        {
            "message": "too many tokens: size limit exceeded",
            "error_type": "too_many_tokens",
        },
        {"error": {"message": "x", "code": 5}},
    ],
    models=[
        {
            "models": [
                {
                    "name": "command-x",
                    "is_deprecated": False,
                    "endpoints": ["chat"],
                    "context_length": 128000,
                }
            ],
            "next_page_token": "dG9r",
        }
    ],
)


# Ollama

_OLLAMA_HEAD = {"model": "llama3", "created_at": "2026-11-01T10:00:00.123456789Z"}
_OLLAMA_CALL = {
    "id": "c",
    "function": {"index": 0, "name": "look", "arguments": {"at": 1}},
}


def _line(message: Any, **more: Any) -> Event:
    said = {"role": "assistant", "content": "", **message}
    return "", {**_OLLAMA_HEAD, "message": said, "done": False, **more}


_OLLAMA_END = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 5_000_000,
    "prompt_eval_count": 9,
    "eval_count": 5,
}

OLLAMA = Seeds(
    streams=[
        [
            _line({"thinking": "hm"}),
            _line({"content": "Hel"}, logprobs=_LOGPROBS["content"]),
            _line({"content": "lo"}),
            _line({}, **_OLLAMA_END),
        ],
        [
            _line({"tool_calls": [_OLLAMA_CALL]}),
            _line({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}),
            _line({}, **_OLLAMA_END),
        ],
        [_line({"content": "a"}), ("", {"error": "an error was encountered"})],
    ],
    bodies=[
        _line(
            {"content": "Hello", "thinking": "hm", "tool_calls": [_OLLAMA_CALL]},
            **_OLLAMA_END,
        )[1],
        _line({"content": "x"}, done=True, logprobs=_LOGPROBS["content"])[1],
    ],
    errors=[
        {"error": 'model "llama9" not found, try pulling it first'},
        {"error": {"message": "x", "type": "api_error", "code": None}},
        {"StatusCode": 429, "Status": "429", "error": "you've reached your limit"},
    ],
    models=[
        {
            "models": [
                {
                    "name": "llama3:latest",
                    "model": "llama3:latest",
                    "modified_at": "2026-01-01T00:00:00.123456789-07:00",
                    "capabilities": ["completion"],
                    "details": {"family": "llama", "context_length": 8192},
                }
            ]
        }
    ],
)


# Bedrock

_BEDROCK_USAGE = {
    "inputTokens": 9,
    "outputTokens": 5,
    "totalTokens": 17,
    "cacheReadInputTokens": 3,
    "cacheWriteInputTokens": 0,
}
_BEDROCK_CITATION = {
    "title": "A",
    "source": "a",
    "sourceContent": [{"text": "cited"}],
    "location": {"web": {"url": "https://a.example", "domain": "a.example"}},
}


def _block(name: str, index: int, **more: Any) -> Event:
    return name, {"contentBlockIndex": index, "p": "abcd", **more}


BEDROCK_CONVERSE = Seeds(
    streams=[
        [
            ("messageStart", {"role": "assistant", "p": "abc"}),
            _block("contentBlockDelta", 0, delta={"reasoningContent": {"text": "hm"}}),
            _block(
                "contentBlockDelta",
                0,
                delta={"reasoningContent": {"signature": "c2ln"}},
            ),
            _block("contentBlockStop", 0),
            _block(
                "contentBlockDelta",
                1,
                delta={"reasoningContent": {"redactedContent": "ZQ"}},
            ),
            _block("contentBlockStop", 1),
            _block("contentBlockDelta", 2, delta={"text": "Hello"}),
            _block("contentBlockDelta", 2, delta={"citation": _BEDROCK_CITATION}),
            _block("contentBlockStop", 2),
            ("messageStop", {"stopReason": "end_turn", "p": "a"}),
            ("metadata", {"usage": _BEDROCK_USAGE, "metrics": {"latencyMs": 5}}),
        ],
        [
            ("messageStart", {"role": "assistant"}),
            _block(
                "contentBlockStart",
                0,
                start={"toolUse": {"toolUseId": "t1", "name": "look"}},
            ),
            _block("contentBlockDelta", 0, delta={"toolUse": {"input": '{"at": 1}'}}),
            _block("contentBlockStop", 0),
            _block(
                "contentBlockStart",
                1,
                start={
                    "toolUse": {
                        "toolUseId": "t2",
                        "name": "s",
                        "type": "server_tool_use",
                    }
                },
            ),
            _block("contentBlockDelta", 1, delta={"toolUse": {"input": "{}"}}),
            _block("contentBlockStart", 2, start={"toolResult": {"toolUseId": "t2"}}),
            _block(
                "contentBlockStart",
                3,
                start={"toolUse": {"toolUseId": "t3", "name": "answer_as_json"}},
            ),
            _block("contentBlockDelta", 3, delta={"toolUse": {"input": '{"a": 1}'}}),
            ("metadata", {"usage": _BEDROCK_USAGE}),
            ("messageStop", {"messageStop": {"stopReason": "tool_use"}}),
        ],
        [
            ("messageStart", {"role": "assistant"}),
            ("exception:throttlingException", {"message": "slow down"}),
            ("exception:modelStreamErrorException", {"originalStatusCode": 424}),
            ("exception:validationException", "no json"),
        ],
    ],
    bodies=[
        {
            "output": {
                "message": {
                    "role": "assistant",
                    "content": [
                        {
                            "reasoningContent": {
                                "reasoningText": {"text": "hm", "signature": "c2ln"}
                            }
                        },
                        {"reasoningContent": {"redactedContent": "ZW5j"}},
                        {"text": "Hello"},
                        {
                            "citationsContent": {
                                "content": [{"text": " there"}],
                                "citations": [_BEDROCK_CITATION],
                            }
                        },
                        {
                            "toolUse": {
                                "toolUseId": "t1",
                                "name": "look",
                                "input": {"at": 1},
                            }
                        },
                        {
                            "toolUse": {
                                "toolUseId": "t3",
                                "name": "answer_as_json",
                                "input": {"a": 1},
                            }
                        },
                    ],
                }
            },
            "stopReason": "tool_use",
            "usage": _BEDROCK_USAGE,
            "metrics": {"latencyMs": 5},
        },
    ],
    errors=[
        {"message": "The security token included in the request is invalid."},
        {"Message": "User is not authorized", "__type": "AccessDeniedException"},
        {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}},
    ],
    models=[
        {
            "modelSummaries": [
                {
                    "modelId": "anthropic.claude-x",
                    "modelName": "Claude X",
                    "providerName": "Anthropic",
                    "outputModalities": ["TEXT"],
                }
            ]
        },
        {
            "inferenceProfileSummaries": [
                {
                    "inferenceProfileId": "us.anthropic.claude-x",
                    "inferenceProfileName": "US Claude X",
                    "createdAt": "2026-01-01T00:00:00Z",
                }
            ],
            "nextToken": "dG9r",
        },
    ],
)


# Replicate

_PREDICTION = {
    "id": "p1",
    "model": "meta/llama",
    "version": "hidden",
    "input": {"prompt": "hi"},
    "logs": "",
    "output": ["Hel", "lo"],
    "error": None,
    "status": "succeeded",
    "created_at": "2026-11-22T11:59:50.123Z",
    "metrics": {"input_token_count": 3, "output_token_count": 2, "predict_time": 0.1},
    "urls": {
        "get": "https://api.replicate.com/v1/predictions/p1",
        "stream": "https://stream.replicate.com/v1/files/p1",
        "cancel": "https://api.replicate.com/v1/predictions/p1/cancel",
    },
}

REPLICATE = Seeds(
    streams=[
        [("output", "Hel"), ("output", "lo\n"), ("done", {}), ("output", "late")],
        [("output", "a"), ("done", {"reason": "error"})],
        [("output", ""), ("logs", "x"), ("error", {"detail": "out of memory"})],
        [("output", "x"), ("error", "no json"), ("done", "")],
    ],
    bodies=[
        _PREDICTION,
        {**_PREDICTION, "status": "starting", "output": None},
        {**_PREDICTION, "status": "processing", "id": "p/../1?x"},
        {**_PREDICTION, "output": {"text": "x"}},
        {**_PREDICTION, "output": "plain", "metrics": None},
    ],
    errors=[
        {
            **_PREDICTION,
            "status": "failed",
            "error": "CUDA out of memory",
            "output": None,
        },
        {**_PREDICTION, "status": "canceled"},
        {
            "title": "Unauthenticated",
            "detail": "You did not pass a token",
            "status": 401,
        },
        {"detail": "Request was throttled.", "status": 429},
        {
            "title": "Input validation failed",
            "detail": "- input: prompt is required\n",
            "status": 422,
            "invalid_fields": [{"field": "input", "description": "prompt"}],
        },
    ],
    models=[
        {
            "models": [
                {
                    "owner": "meta",
                    "name": "llama",
                    "latest_version": {"created_at": "2026-01-01T00:00:00Z"},
                }
            ]
        },
        {
            "next": "https://api.replicate.com/v1/models?cursor=x",
            "results": [{"owner": "a", "name": "b", "latest_version": None}],
        },
    ],
)


SEEDS: dict[str, Seeds] = {
    "openai_chat": OPENAI_CHAT,
    "openai_responses": OPENAI_RESPONSES,
    "anthropic_messages": ANTHROPIC_MESSAGES,
    "gemini": GEMINI,
    "cohere_v2": COHERE_V2,
    "ollama": OLLAMA,
    "bedrock_converse": BEDROCK_CONVERSE,
    "replicate": REPLICATE,
}
