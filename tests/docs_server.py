"""
The provider that the documentation's programs talk to: OpenAI's format on loopback, answers by heart.
"""

from __future__ import annotations

import json

import faults
from batch_server import BatchServer

ANSWERS = {
    "Name three primes.": "2, 3 and 5.",
    "What is ownership?": "Who has it, keeps it in order.",
    "Tell me about the sea.": "The sea covers most of the Earth, and is salt.",
    "Count to a million.": "1 2 3",
    "Recite the Iliad.": "Sing, O goddess,",
    "What is in this picture?": "A red square.",
    "Which of the two is larger?": "The second one.",
    "Summarise this.": "A letter of one page.",
    "What is being said?": "Somebody says hello.",
    "My name is Ada.": "Hello, Ada.",
    "What is my name?": "Your name is Ada.",
    "The word for tree in French?": "arbre",
    "The word for sea in French?": "mer",
    "The word for bread in French?": "pain",
    "How many legs have three cats and a bird?": "14",
    "Who wrote the first program, and in which year?": (
        '{"name": "Ada Lovelace", "year": 1843}'
    ),
    "Is it true that 91 is a prime?": "No: 91 is 7 times 13.",
}
#: Prompts whose streams stop without an end: in silence, or with the connection.
ENDLESS = {"Count to a million.": faults.stall, "Recite the Iliad.": faults.hang_up}
THOUGHTS = {
    "How many legs have three cats and a bird?": "Three times four, and two.",
    "Is it true that 91 is a prime?": "7 times 13 is 91.",
}
ARGUMENTS = {
    "get_weather": {"city": "Paris"},
    "book_table": {"people": 4, "time": "20:00"},
}
RESULTS = {
    "18 degrees": "It is 18 degrees in Paris.",
    "booked": "A table for four is booked, at eight.",
}
MODELS = {"openai/gpt-oss-20b": 131_072, "openai/gpt-oss-120b": 131_072}
HEADERS = {
    "x-request-id": "req_42",
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "59",
}
#: A model's context, in characters of messages.
CONTEXT = 10_000


class DocsServer(faults.FaultServer):
    """
    Answers what the documentation asks, and what it never asks with a greeting.

    Attributes:
        refusals: Statuses with which the next requests are refused.
    """

    def __init__(self):
        super().__init__()
        self.refusals = []
        self.batches = BatchServer(lambda prompt: ANSWERS.get(prompt, "Hello!"))
        self.script(self._answer)

    @property
    def environment(self):
        """
        The variables by which the documentation's programs find this server.
        """
        names = ("OPENAI", "GROQ", "OPENROUTER", "DEEPSEEK", "LLAMACPP", "EXAMPLE")
        return {
            **{f"{name}_BASE_URL": self.url for name in names},
            **{f"{name}_API_KEY": f"key-of-{name.lower()}" for name in names},
            "GATEWAY_URL": self.url,
            "GATEWAY_KEY": "key-of-gateway",
            "PARROT_BASE_URL": f"{self.origin}/parrot",
            "TOGETHER_BASE_URL": self.batches.base_url("openai"),
            "TOGETHER_API_KEY": "key-of-together",
        }

    def close(self):
        """
        Stop listening.
        """
        self.batches.close()
        super().close()

    def _answer(self, exchange):
        request = exchange.request
        if self.refusals:
            status = self.refusals.pop(0)
            return _refuse(status, "Please try again.", None)(exchange)
        if request.path.endswith("/models"):
            return faults.reply(_models())(exchange)
        if request.path.endswith("/parrot/say"):
            return _parrot(request.json())(exchange)
        return _chat(request)(exchange)


def _refuse(status, message, code):
    wait = {"retry-after-ms": "20"} if status == 429 else {}
    return faults.refusal(status, message, code=code, headers={**HEADERS, **wait})


def _models():
    listed = [
        {"id": name, "object": "model", "owned_by": "OpenAI", "context_window": window}
        for name, window in MODELS.items()
    ]
    return json.dumps({"object": "list", "data": listed}).encode()


def _parrot(asked):
    said = asked["prompt"]
    if not asked["stream"]:
        return faults.reply(
            json.dumps({"text": said, "words": len(said.split())}).encode()
        )
    lines = [json.dumps({"text": word}).encode() + b"\n" for word in _words(said)]
    end = json.dumps({"end": True, "words": len(said.split())}).encode() + b"\n"
    return faults.stream(*lines, end, content_type="application/x-ndjson")


def _chat(request):
    asked = request.json()
    if "wrong" in request.headers.get("authorization", ""):
        said = "Incorrect API key provided: gsk_wrong123. Check your key."
        return _refuse(401, said, "invalid_api_key")
    if "no-such" in asked["model"]:
        said = f"The model `{asked['model']}` does not exist."
        return _refuse(404, said, "model_not_found")
    if len(request.body) > CONTEXT and b"base64" not in request.body:
        said = "Please reduce the length of the messages."
        return _refuse(400, said, "context_length_exceeded")
    prompt = _text_of(asked["messages"][-1])
    message = _message(asked, prompt)
    usage = _usage(asked["messages"], message)
    if not asked.get("stream"):
        if prompt in ENDLESS:
            return faults.reply(ENDLESS[prompt], length=100)
        return _whole(asked, message, usage)
    return _stream(asked, message, usage, ENDLESS.get(prompt))


def _text_of(message):
    content = message["content"] or ""
    if isinstance(content, str):
        return content
    return next(part["text"] for part in content if part["type"] == "text")


def _message(asked, prompt):
    said = asked["messages"][-1]
    if said["role"] == "tool":
        text = next((RESULTS[word] for word in RESULTS if word in prompt), prompt)
        return {"role": "assistant", "content": text}
    if asked.get("tools"):
        name = asked["tools"][0]["function"]["name"]
        function = {"name": name, "arguments": json.dumps(ARGUMENTS.get(name, {}))}
        call = {"id": "call_1", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    text = ANSWERS.get(prompt, "Hello! How can I help?")
    found = {"role": "assistant", "content": text}
    if prompt in THOUGHTS and asked.get("reasoning_effort") != "none":
        found["reasoning"] = THOUGHTS[prompt]
        found["reasoning_details"] = [{"type": "reasoning.text", "signature": "c2ln"}]
    return found


def _usage(messages, message):
    read = sum(len(_text_of(one).split()) for one in messages)
    written = len((message["content"] or "call").split())
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _head(asked, kind):
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": asked["model"]}


def _whole(asked, message, usage):
    reason = "tool_calls" if "tool_calls" in message else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    body = {**_head(asked, "chat.completion"), "choices": [choice], "usage": usage}
    return faults.reply(json.dumps(body).encode(), headers=HEADERS)


def _words(text):
    return [part for part in text.replace(" ", "\0 ").split("\0") if part]


def _stream(asked, message, usage, end):
    head = _head(asked, "chat.completion.chunk")

    def event(delta, reason=None, **more):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return (
            b"data: %b\n\n" % json.dumps({**head, "choices": [choice], **more}).encode()
        )

    pieces = [event({"role": "assistant", "content": ""})]
    if "reasoning" in message:
        pieces.append(event({"reasoning": message["reasoning"]}))
    pieces += [event({"content": one}) for one in _words(message["content"] or "")]
    for call in message.get("tool_calls", ()):
        pieces.append(event({"tool_calls": [{"index": 0, **call}]}))
    if end is not None:
        return faults.stream(*pieces, end, headers=HEADERS)
    reason = "tool_calls" if "tool_calls" in message else "stop"
    pieces += [event({}, reason, usage=usage), faults.DONE]
    return faults.stream(*pieces, headers=HEADERS)
