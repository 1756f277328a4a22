"""
A loopback server that speaks the batch APIs of OpenAI, Anthropic, Gemini and Mistral as they are documented.

What becomes of a request is in its prompt: ``refuse`` is an error of its own, ``expire`` and ``cancel`` are not
come to, ``forget`` is not mentioned in the results; anything else is answered, with ``echo <prompt>`` if nobody
says otherwise. Results come in the reverse order of the requests.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


class BatchServer:
    """
    The server, and what a test decides.

    Attributes:
        say: Gives the answer to a prompt.

        polls: How often a job says that it runs before it is over.

        final: How jobs end: ``completed``, ``failed``, ``expired`` or ``cancelled``.

        refused_line: Which line a failed job names.

        faults: Statuses to answer with before anything else, by a pattern of the path.

        cuts: How many downloads break off half way.

        upload_host: Where Gemini's uploads are sent; ``None``: here.

        seen: What was asked for: method and path.

        bodies: What jobs were made of: the body that made each, its entries, by id.
    """

    def __init__(self, say=None):
        self.say = say or (lambda prompt: f"echo {prompt}")
        self.polls = 1
        self.final = "completed"
        self.refused_line = None
        self.faults = []
        self.cuts = 0
        self.upload_host = None
        self.seen = []
        self.bodies = {}
        self.jobs = {}
        self.files = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def origin(self):
        """
        Where it listens.
        """
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def base_url(self, api):
        """
        Where the API *api* is spoken.
        """
        return f"{self.origin}/{api}/{'v1beta' if api == 'gemini' else 'v1'}"

    def close(self):
        """
        Stop listening.
        """
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def made(self):
        """
        Count the jobs.
        """
        return len(self.jobs)

    # Jobs

    def make(self, entries, body):
        """
        Make a job.
        """
        made = f"job-{len(self.jobs) + 1}"
        self.jobs[made] = {"entries": entries, "asked": 0, "cancelled": False}
        self.bodies[made] = body
        return made

    def state(self, id):
        """
        Say how far a job is, and count that it was asked for.
        """
        job = self.jobs[id]
        job["asked"] += 1
        if job["cancelled"]:
            return "cancelled"
        return "running" if job["asked"] <= self.polls else self.final

    def results(self, id, write):
        """
        Give the results of a job, last request first.
        """
        if self.final == "failed":
            return []
        lines = []
        for custom_id, body in reversed(self.jobs[id]["entries"]):
            prompt = _prompt(body)
            if "forget" not in prompt:
                lines.append(write(custom_id, prompt, self.say(prompt)))
        return [line for line in lines if line is not None]

    def keep(self, lines):
        """
        Keep a file, and give its name.
        """
        name = f"file-{len(self.files) + 1}"
        self.files[name] = b"".join(json.dumps(one).encode() + b"\n" for one in lines)
        return name


def _prompt(body):
    found = body.get("messages") or body.get("contents") or body.get("input")
    last = found[-1]
    content = last.get("content") or last["parts"]
    return content if isinstance(content, str) else content[0]["text"]


def _lines(data):
    return [json.loads(line) for line in data.splitlines() if line.strip()]


def _chat(said):
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c-1", "model": "m-1", "choices": [choice], "usage": USAGE}


def _chat_line(custom_id, prompt, said):
    line = {"id": "r-1", "custom_id": custom_id, "response": None, "error": None}
    if "expire" in prompt:
        return line | {"error": {"code": "batch_expired", "message": "Too late."}}
    if "cancel" in prompt:
        return line | {"error": {"code": "batch_cancelled", "message": "Cancelled."}}
    if "refuse" in prompt:
        error = {"message": "Not this.", "type": "invalid_request_error", "code": None}
        return line | {"response": _response(400, {"error": error})}
    return line | {"response": _response(200, _chat(said))}


def _response(status, body):
    return {"status_code": status, "request_id": "req-7", "body": body}


def _claude_line(custom_id, prompt, said):
    if "expire" in prompt:
        result = {"type": "expired"}
    elif "cancel" in prompt:
        result = {"type": "canceled"}
    elif "refuse" in prompt:
        error = {"type": "invalid_request_error", "message": "Not this."}
        result = {"type": "errored", "error": {"type": "error", "error": error}}
    else:
        message = {
            "id": "msg-1",
            "type": "message",
            "role": "assistant",
            "model": "m-1",
            "content": [{"type": "text", "text": said}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 3, "output_tokens": 2},
        }
        result = {"type": "succeeded", "message": message}
    return {"custom_id": custom_id, "result": result}


def _gemini_line(custom_id, prompt, said):
    if "expire" in prompt or "cancel" in prompt:
        return None  # Gemini has no word for them
    if "refuse" in prompt:
        error = {"code": 3, "message": "Not this.", "status": "INVALID_ARGUMENT"}
        return {"key": custom_id, "error": error}
    parts = {"role": "model", "parts": [{"text": said}]}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    body = {
        "candidates": [{"index": 0, "content": parts, "finishReason": "STOP"}],
        "usageMetadata": usage,
        "modelVersion": "m-1",
        "responseId": "g-1",
    }
    return {"key": custom_id, "response": body}


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            self._answer(b"")

        def do_POST(self):
            self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

        def _answer(self, data):
            path = self.path.partition("?")[0]
            server.seen.append((self.command, self.path))
            for fault in server.faults:
                pattern, status, headers = fault
                if re.search(pattern, f"{self.command} {path}"):
                    server.faults.remove(fault)
                    if status is None:
                        self.close_connection = True
                        return
                    self._send({"error": {"message": "Later."}}, status, headers)
                    return
            for pattern, method in routes:
                found = re.fullmatch(pattern, f"{self.command} {path}")
                if found:
                    method(self, data, *found.groups())
                    return
            self._send({"error": {"message": f"nothing at {path}"}}, 404)

        def _send(self, value, status=200, headers=None):
            self._raw(json.dumps(value).encode(), status, headers or {})

        def _raw(self, data, status=200, headers=None):
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # who asked may be gone
                self.end_headers()
                self.wfile.write(data)

        def _download(self, name):
            data = server.files[name]
            if server.cuts:
                server.cuts -= 1
                self.send_response(200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
                return
            self._raw(data)

        # Files of OpenAI and Mistral

        def upload(self, data):
            boundary = self.headers["content-type"].partition("boundary=")[2]
            parts = data.split(f"--{boundary}".encode())
            fields = {}
            for part in parts[1:-1]:
                head, _, content = part.partition(b"\r\n\r\n")
                fields[re.search(rb'name="(\w+)"', head)[1]] = content[:-2]
            assert fields[b"purpose"] in (b"batch", b"batch-api")
            name = f"file-{len(server.files) + 1}"
            server.files[name] = fields[b"file"]
            self._send({"id": name, "object": "file", "purpose": "batch"})

        def content(self, _, name):
            self._download(name)

        # OpenAI

        def openai_make(self, data):
            body = json.loads(data)
            lines = _lines(server.files[body["input_file_id"]])
            entries = [(one["custom_id"], one["body"]) for one in lines]
            made = server.make(entries, body | {"lines": lines})
            self._send({"id": made, "object": "batch", "status": "validating"})

        def openai_job(self, _, id):
            state = server.state(id)
            found = {"id": id, "object": "batch", "status": "in_progress"}
            total = len(server.jobs[id]["entries"])
            if state != "running":
                found["status"] = state
                lines = server.results(id, _chat_line)
                good = [one for one in lines if not _is_bad(one)]
                bad = [one for one in lines if _is_bad(one)]
                if good:
                    found["output_file_id"] = server.keep(good)
                if bad:
                    found["error_file_id"] = server.keep(bad)
                found["request_counts"] = {
                    "total": total,
                    "completed": len(good),
                    "failed": len(bad),
                }
            if state == "failed":
                problem = {
                    "code": "invalid_json_line",
                    "message": "This line is no good.",
                    "line": server.refused_line,
                }
                found["errors"] = {"object": "list", "data": [problem]}
            self._send(found)

        def openai_cancel(self, _, id):
            server.jobs[id]["cancelled"] = True
            self._send({"id": id, "status": "cancelling"})

        # Mistral

        def mistral_make(self, data):
            body = json.loads(data)
            lines = body.get("requests")
            if lines is None:
                lines = _lines(server.files[body["input_files"][0]])
            entries = [(one["custom_id"], one["body"]) for one in lines]
            made = server.make(entries, body | {"lines": lines})
            self._send({"id": made, "object": "batch", "status": "QUEUED"})

        def mistral_job(self, _, id):
            words = {
                "running": "RUNNING",
                "completed": "SUCCESS",
                "failed": "FAILED",
                "expired": "TIMEOUT_EXCEEDED",
                "cancelled": "CANCELLED",
            }
            state = server.state(id)
            total = len(server.jobs[id]["entries"])
            found = {"id": id, "status": words[state], "total_requests": total}
            if state == "failed":
                found["errors"] = [{"message": "This line is no good.", "count": 1}]
            elif state != "running":
                lines = server.results(id, _mistral_line)
                if "inline=true" in self.path:
                    found["outputs"] = lines
                else:
                    found["output_file"] = server.keep(lines)
            self._send(found)

        # Anthropic

        def claude_make(self, data):
            body = json.loads(data)
            entries = [(one["custom_id"], one["params"]) for one in body["requests"]]
            made = server.make(entries, body | {"headers": dict(self.headers)})
            self._send({"id": made, "processing_status": "in_progress"})

        def claude_job(self, _, id):
            running = server.state(id) == "running"
            found = {"id": id, "type": "message_batch"}
            found["processing_status"] = "in_progress" if running else "ended"
            if not running:
                found["results_url"] = "https://elsewhere.example/results"
            self._send(found)

        def claude_results(self, _, id):
            server.files[id] = b"".join(
                json.dumps(one).encode() + b"\n"
                for one in server.results(id, _claude_line)
            )
            self._download(id)

        # Gemini

        def gemini_begin(self, _):
            assert "start" == self.headers["x-goog-upload-command"]
            host = server.upload_host or server.origin
            url = f"{host}/gemini/upload/v1beta/files?upload_id=u-1"
            self._raw(b"{}", headers={"x-goog-upload-url": url})

        def gemini_upload(self, data):
            if self.headers["x-goog-upload-command"] == "start":
                self.gemini_begin(data)
                return
            name = f"file-{len(server.files) + 1}"
            server.files[name] = data
            self._send({"file": {"name": f"files/{name}", "state": "ACTIVE"}})

        def gemini_make(self, data, model):
            batch = json.loads(data)["batch"]
            name = batch["inputConfig"]["fileName"].partition("/")[2]
            lines = _lines(server.files[name])
            entries = [(one["key"], one["request"]) for one in lines]
            made = server.make(entries, batch | {"model": model})
            state = {"state": "BATCH_STATE_PENDING"}
            self._send({"name": f"batches/{made}", "metadata": state})

        def gemini_job(self, _, id):
            words = {
                "running": "RUNNING",
                "completed": "SUCCEEDED",
                "failed": "FAILED",
                "expired": "EXPIRED",
                "cancelled": "CANCELLED",
            }
            state = server.state(id)
            facts = {"state": f"BATCH_STATE_{words[state]}"}
            facts["batchStats"] = {"requestCount": str(len(server.jobs[id]["entries"]))}
            found = {"name": f"batches/{id}", "metadata": facts}
            if state == "failed":
                found |= {"done": True, "error": {"message": "This line is no good."}}
            elif state != "running":
                lines = server.results(id, _gemini_line)
                output = {"responsesFile": f"files/{server.keep(lines)}"}
                found |= {"done": True, "response": output}
            self._send(found)

        def empty_cancel(self, _, id):
            server.jobs[id]["cancelled"] = True
            self._send({})

    routes = (
        (r"POST /(?:openai|mistral)/v1/files(?:/upload)?", Handler.upload),
        (r"GET /(?:openai|mistral)/v1/files/([\w-]+)/content", Handler.content),
        (r"POST /openai/v1/batches", Handler.openai_make),
        (r"GET /openai/v1/batches/([\w-]+)", Handler.openai_job),
        (r"POST /openai/v1/batches/([\w-]+)/cancel", Handler.openai_cancel),
        (r"POST /mistral/v1/batch/jobs", Handler.mistral_make),
        (r"GET /mistral/v1/batch/jobs/([\w-]+)", Handler.mistral_job),
        (r"POST /mistral/v1/batch/jobs/([\w-]+)/cancel", Handler.empty_cancel),
        (r"POST /anthropic/v1/messages/batches", Handler.claude_make),
        (r"GET /anthropic/v1/messages/batches/([\w-]+)", Handler.claude_job),
        (
            r"GET /anthropic/v1/messages/batches/([\w-]+)/results",
            Handler.claude_results,
        ),
        (r"POST /anthropic/v1/messages/batches/([\w-]+)/cancel", Handler.empty_cancel),
        (r"POST /gemini/upload/v1beta/files", Handler.gemini_upload),
        (
            r"POST /gemini/v1beta/models/([\w.-]+):batchGenerateContent",
            Handler.gemini_make,
        ),
        (r"GET /gemini/v1beta/batches/([\w-]+)", Handler.gemini_job),
        (r"POST /gemini/v1beta/batches/([\w-]+):cancel", Handler.empty_cancel),
        (
            r"GET /gemini/download/v1beta/files/([\w-]+):download",
            Handler.content,
        ),
    )
    return Handler


def _is_bad(line):
    response = line["response"]
    return response is None or response["status_code"] != 200


def _mistral_line(custom_id, prompt, said):
    if "expire" in prompt or "cancel" in prompt:
        return None
    return _chat_line(custom_id, prompt, said)
