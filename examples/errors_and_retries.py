"""
Say how long to wait and how often to try, and tell what went wrong.

    python examples/errors_and_retries.py        # asks Groq: the key is in GROQ_API_KEY
    python examples/errors_and_retries.py local  # or any other provider, such as the model on this machine
"""

import sys

from ai_lib import (
    AiClient,
    AiLibError,
    AuthenticationError,
    ChatCompletionRequest,
    RateLimitError,
    RetryPolicy,
    Timeout,
)

PROVIDER = (*sys.argv[1:], "groq")[0]


def ask(client: AiClient, request: ChatCompletionRequest) -> str:
    try:
        response = client.chat_completion(request)
    except AuthenticationError as error:
        return f"The key is wrong: {error}"
    except RateLimitError as error:
        return f"Too much for now; again in {error.retry_after} s."
    except AiLibError as error:  # all others; each knows what it was
        return f"{type(error).__name__} after {len(error.attempts)} attempts: {error}"
    tried = [attempt.status_code for attempt in response.attempts]
    return f"{response.text} (answered: {tried})"


def main() -> None:
    client = AiClient(
        PROVIDER,
        timeout=Timeout(connect=5, attempt=60, total=90),
        retry=RetryPolicy(attempts=4, backoff=0.2),
    )
    with client:
        print(ask(client, ChatCompletionRequest("auto", "Name three primes.")))
        print(ask(client, ChatCompletionRequest("no-such-model", "Hello")))


if __name__ == "__main__":
    main()
