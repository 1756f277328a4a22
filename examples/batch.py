"""
Ask many things, with a journal: interrupt it with Ctrl-C and run it again, and only what is missing is asked.

    python examples/batch.py                 # asks Groq: the key is in GROQ_API_KEY
    python examples/batch.py local           # or any other provider, such as the model on this machine
"""

import sys

from ai_lib import AiClient, ChatCompletionRequest

PROVIDER = (*sys.argv[1:], "groq")[0]
JOURNAL = "words.jsonl"  # beside where you are; delete it to begin anew


def main() -> None:
    words = ["tree", "sea", "bread"]
    requests = [
        ChatCompletionRequest("auto", f"The word for {one} in French?") for one in words
    ]
    with AiClient(PROVIDER) as client:
        run = client.chat_completion_batch_iter(
            requests, max_concurrency=8, ordered=True, journal=JOURNAL, progress=True
        )
        with run:
            for item in run:
                answer = item.unwrap().text if item.ok else item.error
                print(words[item.index], "-", answer)


if __name__ == "__main__":
    main()
