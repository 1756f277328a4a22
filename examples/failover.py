"""
Go on with another provider when one fails, and see who answered.

    python examples/failover.py                 # Groq, then DeepSeek: GROQ_API_KEY, DEEPSEEK_API_KEY
    python examples/failover.py groq local      # or others, in this order
"""

import sys

from ai_lib import AiClient, ChatCompletionRequest, Hedge

FIRST, *OTHERS = sys.argv[1:] or ["groq", "deepseek"]


def main() -> None:
    request = ChatCompletionRequest("auto", "Name three primes.")

    with AiClient(FIRST, failover=OTHERS, max_retries=0) as client:
        response = client.chat_completion(request)
        print(response.provider, "answers:", response.text)
        for attempt in response.attempts:
            print("-", attempt.provider, attempt.model, attempt.status_code)

        # Whoever is slow gets a rival; the first answer wins, the other one is cancelled.
        hedged = client.with_options(hedge=Hedge(5.0, (OTHERS or [FIRST])[0]))
        print(hedged.chat_completion(request).provider, "was faster")


if __name__ == "__main__":
    main()
