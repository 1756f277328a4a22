"""
Ask about a picture, or another file.

    python examples/images_and_files.py photo.png          # asks OpenAI: the key is in OPENAI_API_KEY
    python examples/images_and_files.py letter.pdf gemini  # or any other provider that takes such files
"""

import sys

from ai_lib import AiClient, ChatCompletionRequest, FilePart, ImagePart, Message

PATH = sys.argv[1] if len(sys.argv) > 1 else "photo.png"
PROVIDER = (*sys.argv[2:], "openai")[0]


def main() -> None:
    content: list[str | ImagePart | FilePart]
    try:
        if PATH.endswith((".png", ".jpg", ".jpeg", ".webp", ".gif")):
            content = ["What is in this picture?", ImagePart.from_file(PATH)]
        else:
            content = ["Summarise this.", FilePart.from_file(PATH)]
    except (OSError, ValueError) as error:
        sys.exit(f"No such file to send: {error}")

    with AiClient(PROVIDER) as client:
        request = ChatCompletionRequest("auto", [Message.user(content)])
        print(client.chat_completion(request).text)


if __name__ == "__main__":
    main()
