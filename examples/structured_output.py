"""
Get JSON by a schema, and make an object of it.

    python examples/structured_output.py         # asks Groq: the key is in GROQ_API_KEY
    python examples/structured_output.py openai  # or any other provider
"""

import json
import sys
from dataclasses import dataclass

from ai_lib import AiClient, ChatCompletionRequest

PROVIDER = (*sys.argv[1:], "groq")[0]


@dataclass
class Author:
    name: str
    year: int


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "year": {"type": "integer"}},
    "required": ["name", "year"],
    "additionalProperties": False,
}


def main() -> None:
    request = ChatCompletionRequest(
        "auto",
        "Who wrote the first program, and in which year?",
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "author", "schema": SCHEMA, "strict": True},
        },
    )
    with AiClient(PROVIDER) as client:
        response = client.chat_completion(request)

    try:  # it is still text of a model's: cut, refused, or something else
        author = Author(**json.loads(response.text))
    except (TypeError, ValueError):
        print("No author:", response.finish_reason, response.text)
    else:
        print(author)
    print(
        *response.warnings, sep="\n"
    )  # whether the schema was only asked for in words


if __name__ == "__main__":
    main()
