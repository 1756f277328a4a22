"""
Print an answer as it is written, and stop one after a second.

    python examples/streaming.py             # asks Groq: the key is in GROQ_API_KEY
    python examples/streaming.py local       # or any other provider, such as the model on this machine
"""

import sys
import threading

from ai_lib import AiClient, ChatCompletionRequest, StreamCancelledError

PROVIDER = (*sys.argv[1:], "groq")[0]


def print_as_it_comes(client: AiClient) -> None:
    request = ChatCompletionRequest("auto", "Tell me about the sea.")
    with client.chat_completion_stream(request) as stream:
        for text in stream.text_stream:
            print(text, end="", flush=True)
    print(f"\n({stream.response.finish_reason})")


def stop_after_a_second(client: AiClient) -> None:
    request = ChatCompletionRequest("auto", "Count to a million.")
    stream, handle = client.chat_completion_stream_with_cancel(request)
    timer = threading.Timer(1.0, handle.cancel)  # from any thread
    timer.start()
    try:
        for text in stream.text_stream:
            print(text, end="", flush=True)
    except StreamCancelledError:
        print(f"\n(stopped after {len(stream.response.text)} letters)")
    finally:
        timer.cancel()


def main() -> None:
    with AiClient(PROVIDER) as client:
        print_as_it_comes(client)
        stop_after_a_second(client)


if __name__ == "__main__":
    main()
