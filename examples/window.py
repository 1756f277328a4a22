"""
Show an answer in a window as it is written, with a button that stops it.

    python examples/window.py                # asks Groq: the key is in GROQ_API_KEY
    python examples/window.py local          # or any other provider, such as the model on this machine

A thread reads; the window's own thread looks now and then what has come, and never waits for the network.
"""

import queue
import sys
import threading
import tkinter as tk

from ai_lib import (
    AiClient,
    AiLibError,
    CancelHandle,
    ChatCompletionRequest,
    ChatCompletionStream,
    StreamCancelledError,
)

PROVIDER = (*sys.argv[1:], "groq")[0]


class Window:
    """
    A text, and a button that stops it.
    """

    def __init__(self, root: tk.Tk, client: AiClient) -> None:
        self._root = root
        self._client = client
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._text = tk.Text(root)
        self._text.pack()
        self._button = tk.Button(root, text="Stop")
        self._button.pack()

    def ask(self, question: str) -> None:
        request = ChatCompletionRequest("auto", question)
        stream, handle = self._client.chat_completion_stream_with_cancel(request)
        self._button.config(command=handle.cancel)  # returns at once
        self._root.protocol("WM_DELETE_WINDOW", lambda: self._close(handle))
        threading.Thread(target=self._read, args=[stream]).start()
        self._show()

    def _read(self, stream: ChatCompletionStream) -> None:
        try:
            for piece in stream.text_stream:
                self._pieces.put(piece)
        except StreamCancelledError:
            self._pieces.put("\n(stopped)")
        except AiLibError as error:
            self._pieces.put(f"\n{error}")
        finally:
            self._pieces.put(None)

    def _show(self) -> None:
        while not self._pieces.empty():
            piece = self._pieces.get()
            if piece is None:
                self._button.config(text="Close", command=self._root.destroy)
                return
            self._text.insert("end", piece)
        self._root.after(50, self._show)

    def _close(self, handle: CancelHandle) -> None:
        handle.cancel()  # so that the thread ends
        self._root.destroy()


def main() -> None:
    root = tk.Tk()
    with AiClient(PROVIDER) as client:
        Window(root, client).ask("Count to a million.")
        root.mainloop()


if __name__ == "__main__":
    main()
