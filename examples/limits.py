"""
Stay below a provider's limits from many threads, and stop asking one that is down.

    python examples/limits.py                # asks Groq: the key is in GROQ_API_KEY
    python examples/limits.py local          # or any other provider, such as the model on this machine
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from ai_lib import AiClient, BreakerPolicy, RateLimit

PROVIDER = (*sys.argv[1:], "groq")[0]


def main() -> None:
    client = AiClient(
        PROVIDER,
        rate_limit=RateLimit(requests_per_minute=600, burst=2),
        max_concurrency=4,
        breaker=BreakerPolicy(failures=5, recovery=30.0),
    )
    began = time.monotonic()

    def ask(word: str) -> str:
        answer = client.quick_chat_text("", f"The word for {word} in French?")
        return f"{time.monotonic() - began:4.1f} s  {word}: {answer}"

    with client, ThreadPoolExecutor(8) as threads:
        for line in threads.map(ask, ["tree", "sea", "bread", "tree", "sea", "bread"]):
            print(line)


if __name__ == "__main__":
    main()
