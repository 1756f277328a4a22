"""
Ask a question, and go on asking in the same conversation.

    python examples/quickstart.py            # asks Groq: the key is in GROQ_API_KEY
    python examples/quickstart.py local      # or any other provider, such as the model on this machine
"""

import sys

from ai_lib import AiClient, ChatCompletionRequest, Message

PROVIDER = (*sys.argv[1:], "groq")[0]


def main() -> None:
    messages = [Message.system("Be brief."), Message.user("My name is Ada.")]
    with AiClient(PROVIDER) as client:
        response = client.chat_completion(ChatCompletionRequest("auto", messages))
        print(response.text)

        messages += [response.message, Message.user("What is my name?")]
        response = client.chat_completion(ChatCompletionRequest("auto", messages))
        print(response.text)

    print(f"({response.model} at {response.provider}, {response.finish_reason})")


if __name__ == "__main__":
    main()
