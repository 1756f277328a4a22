"""
Watch every attempt, retry and answer of a client, and count what it cost.

    python examples/hooks.py                 # asks Groq: the key is in GROQ_API_KEY
    python examples/hooks.py local           # or any other provider, such as the model on this machine

For spans and metrics of OpenTelemetry, pass ``hooks=ai_lib.otel.OpenTelemetry()``.
"""

import logging
import sys
import threading

from ai_lib import AiClient, ErrorEvent, Event, ResponseEvent, RetryEvent

PROVIDER = (*sys.argv[1:], "groq")[0]


class Meter:
    """
    Counts tokens and prints what happens. Hooks run in the thread of the call: quickly, then.
    """

    def __init__(self) -> None:
        self.tokens = 0
        self._counting = threading.Lock()

    def __call__(self, event: Event) -> None:
        match event:
            case RetryEvent():
                print(f"again in {event.wait:.1f} s: {type(event.error).__name__}")
            case ErrorEvent():
                print(f"failed: {type(event.error).__name__}")
            case ResponseEvent(response=response) if response is not None:
                usage = response.usage
                with self._counting:
                    self.tokens += usage.total_tokens if usage else 0
                print(f"answered by {event.provider}")


def main() -> None:
    logging.basicConfig(format="%(name)s: %(message)s")
    logging.getLogger("ai_lib").setLevel(logging.INFO)  # DEBUG: each attempt

    meter = Meter()
    with AiClient(PROVIDER, hooks=meter) as client:
        print(client.quick_chat_text("", "Name three primes."))
        print(client.quick_chat_text("", "What is ownership?"))
    print(meter.tokens, "tokens")


if __name__ == "__main__":
    main()
