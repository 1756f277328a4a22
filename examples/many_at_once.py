"""
Ask several things at once in asyncio, and give up on an answer that takes too long.

    python examples/many_at_once.py          # asks Groq: the key is in GROQ_API_KEY
    python examples/many_at_once.py local    # or any other provider, such as the model on this machine
"""

import asyncio
import sys

from ai_lib_async import AiClient, ChatCompletionRequest

PROVIDER = (*sys.argv[1:], "groq")[0]


async def main() -> None:
    async with AiClient(PROVIDER) as client:
        questions = [f"The word for {one} in French?" for one in ("tree", "sea")]
        answers = await asyncio.gather(
            *(client.quick_chat_text("", question) for question in questions)
        )
        for question, answer in zip(questions, answers, strict=True):
            print(question, answer)

        request = ChatCompletionRequest("auto", "Count to a million.")
        try:
            async with (
                asyncio.timeout(2),
                await client.chat_completion_stream(request) as stream,
            ):
                await stream.until_done()
        except TimeoutError:
            print("in two seconds:", stream.response.text)


if __name__ == "__main__":
    asyncio.run(main())
