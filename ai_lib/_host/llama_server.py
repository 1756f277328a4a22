"""
The child process of ``local_model``: llama.cpp's server on a loopback port.

A program, run by its path: it imports nothing of this library, so that it starts fast and
needs no way to it. Its settings come as one line of JSON on standard input, key included,
since other users can read command lines. One line of JSON on standard output says where it
listens; whatever llama.cpp logs goes to standard error. When standard input ends, the
parent is gone, however it went, and this process ends too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

#: Tokens for prompts and answers, shared by the slots. SmolLM2 was trained on 8,192
#: (``llama.context_length`` in its file); a model of more would take gigabytes for all.
CONTEXT = 8192

#: What holds when a request does not say otherwise: tokens of an answer, its randomness, and how much
#: less likely a word becomes that was just said. A model of this size does not know when to stop, and
#: falls into repeating itself; penalised more, it rambles instead.
ANSWER = 512
TEMPERATURE = 0.3
REPEATED = 1.1

#: Answers at a time. A second one, since llama.cpp goes on with a plain request whose
#: caller has left, and whoever asks next would wait for it.
SLOTS = 2


def _threads() -> int:
    # llama.cpp spins while it waits: with every core taken, two threads on two busy
    # cores were ten times slower than one.
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, cores - 1)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _start(settings: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {Path(settings["model"]).stem}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["key"]]
    params.cors_origins = ""
    params.n_ctx = CONTEXT
    params.n_parallel = SLOTS
    params.kv_unified = True  # each slot may use the whole context, not its share
    params.cache_ram_mib = 0  # old prompts would take up to 8 GB
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = _threads()
    params.n_predict = ANSWER
    params.sampling.temp = TEMPERATURE
    params.sampling.penalty_repeat = REPEATED
    params.sampling.penalty_last_n = 256
    params.verbosity = 1  # errors
    params.ui = params.endpoint_slots = False
    return xllamacpp.Server(params)


def main() -> int:
    """
    Serve until standard input ends.

    Returns:
        The exit code, if the server did not start.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    settings = json.loads(sys.stdin.buffer.readline())
    sys.path.append(settings["path"])
    watch = threading.Thread(target=_end_with_parent, daemon=True)
    watch.start()
    try:
        server = _start(settings)
    except RuntimeError:  # llama.cpp has said more of it in its log
        return 1
    report.write(json.dumps({"listening": server.listening_address}) + "\n")
    report.flush()
    watch.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
