"""
Answer browsers as the model writes, with nothing but asyncio; who leaves, stops the model.

    python examples/server.py                # asks Groq: the key is in GROQ_API_KEY
    python examples/server.py local 8080     # or any other provider; the port
    curl -N 'http://127.0.0.1:8080/?q=Tell+me+about+the+sea.'

It shows how a stream and a visitor are tied together, not how to write a web server: put the same lines into the
framework that you use.
"""

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

from ai_lib_async import AiClient, AiLibError, ChatCompletionRequest

PROVIDER = (*sys.argv[1:2], "groq")[0]
PORT = int((*sys.argv[2:], "8080")[0])
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"


class Server:
    """
    One client for all visitors: it is the client that keeps connections.
    """

    def __init__(self, client: AiClient) -> None:
        self._client = client

    async def visit(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(10):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            question = parse_qs(urlsplit(head.split()[1]).query).get("q", ["Hello"])[0]
            answering = asyncio.create_task(self._answer(question, writer))
            leaving = asyncio.create_task(reader.read())  # ends when the visitor leaves
            await asyncio.wait(
                [answering, leaving], return_when=asyncio.FIRST_COMPLETED
            )
            for task in (answering, leaving):
                task.cancel()  # closes the stream, and its connection, if it still runs
            await asyncio.gather(answering, leaving, return_exceptions=True)
        except (OSError, EOFError, IndexError, ValueError, TimeoutError):
            pass  # no visitor that speaks HTTP
        finally:
            writer.close()

    async def _answer(self, question: str, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        request = ChatCompletionRequest("auto", question)
        try:
            async with await self._client.chat_completion_stream(request) as stream:
                async for text in stream.text_stream:
                    writer.write(text.encode())
                    await writer.drain()  # a slow visitor slows the stream down
        except AiLibError as error:
            print(f"{type(error).__name__}: {error}")  # for you; the visitor hears less
            writer.write(b"\nSorry, no (more) answer.")
        await writer.drain()


async def main() -> None:
    async with AiClient(PROVIDER) as client:
        server = await asyncio.start_server(Server(client).visit, "127.0.0.1", PORT)
        port = server.sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}/?q=Name+three+primes.", flush=True)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("stopped")
