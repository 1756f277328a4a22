"""
Talk to a model on this machine: no key, no account, no network once it is there.

    pip install '.[local]'                     # in a checkout of the repository, once
    python examples/local_model.py             # fetches a small model (94 MB) when there is none
    python examples/local_model.py some.gguf   # or takes a file of yours
"""

import sys

from ai_lib import AiClient, ChatCompletionRequest, LocalModelError

MODEL = (*sys.argv[1:], None)[0]


def main() -> None:
    request = ChatCompletionRequest(
        "auto", "Say hello in one sentence.", max_tokens=40, temperature=0
    )
    try:
        with (
            AiClient("local", model=MODEL) as client,
            client.chat_completion_stream(request) as stream,
        ):
            for text in stream.text_stream:
                print(text, end="", flush=True)
    except LocalModelError as error:
        sys.exit(str(error))  # says what is missing
    print(f"\n({stream.response.model})")


if __name__ == "__main__":
    main()
