"""
Let the model call functions, as often as it likes, until it has an answer.

    python examples/tools.py                 # asks Groq: the key is in GROQ_API_KEY
    python examples/tools.py openai          # or any other provider whose model knows tools
"""

import sys
from typing import Annotated

from ai_lib import AiClient, ChatCompletionRequest, Message, Tool, ToolCall

PROVIDER = (*sys.argv[1:], "groq")[0]


def get_weather(city: Annotated[str, "its name in English"]) -> str:
    """Tell the weather in a city."""
    return f"18 degrees and dry in {city}"


FUNCTIONS = {"get_weather": get_weather}
TOOLS = [Tool.from_function(function) for function in FUNCTIONS.values()]


def result_of(call: ToolCall) -> str:
    """
    Do what the model asks for. What it writes is input from outside: maybe no JSON, maybe made up.
    """
    try:
        return FUNCTIONS[call.name](**call.parse_arguments())
    except (KeyError, TypeError, ValueError) as error:
        return f"That failed: {error!r}"


def main() -> None:
    messages = [Message.user("What is the weather in Paris?")]
    with AiClient(PROVIDER) as client:
        for _ in range(5):  # a model may ask for ever
            request = ChatCompletionRequest("auto", messages, tools=TOOLS)
            response = client.chat_completion(request)
            if not response.tool_calls:
                break
            messages.append(response.message)  # as it is, with the calls in it
            for call in response.tool_calls:
                print("called:", call.name, call.arguments)
                messages.append(Message.tool(result_of(call), call.id, name=call.name))
    print(response.text)


if __name__ == "__main__":
    main()
