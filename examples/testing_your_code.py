"""
Test code that asks a model: with a real client, and without a network or a key.

    python examples/testing_your_code.py
    pytest examples/testing_your_code.py
"""

import json

from ai_lib import AiClient, ChatCompletionRequest, HttpResponse, OverloadedError


def headline(client: AiClient, article: str) -> str:
    """
    The code to be tested.
    """
    request = ChatCompletionRequest("auto", f"A headline for this: {article}")
    try:
        return client.chat_completion(request).text.strip().title()
    except OverloadedError:
        return article.partition(".")[0]


class FakeTransport:
    """
    Takes what would have been sent, and gives answers in the provider's own words.
    """

    def __init__(self, *replies):
        self.replies = list(replies)
        self.requests = []

    def send(self, effect, call):
        self.requests.append(effect.request)
        return self.replies.pop(0)


def client_that_hears(*replies):
    transport = FakeTransport(*replies)
    client = AiClient("groq", api_key="test", transport=transport, max_retries=0)
    return client, transport


def test_headline_is_in_capitals():
    said = {"role": "assistant", "content": " dog bites man\n"}
    body = {"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
    reply = HttpResponse(status=200, body=json.dumps(body).encode())
    client, transport = client_that_hears(reply)

    with client:
        assert headline(client, "A dog. A man.") == "Dog Bites Man"

    asked = transport.requests[0].json()["messages"][0]["content"]
    assert asked == "A headline for this: A dog. A man."


def test_first_sentence_does_when_the_provider_is_overloaded():
    client, _ = client_that_hears(HttpResponse(status=503))

    with client:
        assert headline(client, "A dog. A man.") == "A dog"


if __name__ == "__main__":
    test_headline_is_in_capitals()
    test_first_sentence_does_when_the_provider_is_overloaded()
    print("Both tests pass.")
