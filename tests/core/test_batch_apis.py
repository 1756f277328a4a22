"""
Batches through the providers' own APIs, whole: against a server on loopback that speaks them as documented.
"""

from __future__ import annotations

import http.client
import json
import pickle
import tracemalloc
from urllib.parse import urlsplit

import attrs
import pytest
from batch_server import BatchServer

from ai_lib._core.batch.apis import (
    BATCH_APIS,
    Aimed,
    ProviderJob,
    batch_api_named,
    decode_status,
    jobs_in,
    multipart,
)
from ai_lib._core.batch.asking import Polling
from ai_lib._core.batch.jobs import ProviderRun
from ai_lib._core.batch.plan import BatchOptions
from ai_lib._core.batch.results import Lines
from ai_lib._core.call import Call
from ai_lib._core.catalog import CATALOG
from ai_lib._core.chat import ChatCompletionRequest
from ai_lib._core.dialects import DIALECTS
from ai_lib._core.errors import (
    AiLibError,
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    InvalidResponseError,
    NetworkError,
    NotFoundError,
    RequestTimeoutError,
    ResponseTooLargeError,
    StreamCancelledError,
    UnsupportedFeatureError,
)
from ai_lib._core.flow import Close, Finish, Keep, Read, Send, Sleep, read, send
from ai_lib._core.http import HttpResponse, SizeLimits
from ai_lib._core.messages import Message
from ai_lib._core.providers import ResolvedTarget
from ai_lib._core.registry import dialect_named
from ai_lib._core.timeouts import Timeout

SPECS = {spec.id: spec for spec in CATALOG}
every_api = pytest.mark.parametrize("api", BATCH_APIS)


@pytest.fixture
def server():
    """
    A server of all four APIs.
    """
    found = BatchServer()
    yield found
    found.close()


def perform(effect):
    """
    Do for a flow what a shell would.
    """
    if isinstance(effect, Send):
        request = effect.request
        parts = urlsplit(request.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(
                request.method, path, request.body, dict(request.headers)
            )
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise NetworkError(f"no answer: {type(error).__name__}") from None
        headers = {name.lower(): value for name, value in response.getheaders()}
        if effect.stream and response.status < 400:
            stream = (connection, response)
            return HttpResponse(status=200, headers=headers, stream=stream)
        body = response.read()
        connection.close()
        return HttpResponse(status=response.status, headers=headers, body=body)
    if isinstance(effect, Read):
        try:
            data = effect.stream[1].read(1000)
        except (OSError, http.client.HTTPException):
            raise NetworkError("broke off") from None
        if not data and effect.stream[1].length:
            raise NetworkError("broke off")
        return data
    if isinstance(effect, Close):
        effect.stream[0].close()
    if isinstance(effect, Keep):
        return effect.function()
    if isinstance(effect, Finish):
        return drive(effect.flow)
    return None


def drive_on(flow, reply):
    """
    Run a flow that has begun to its end.
    """
    try:
        while True:
            reply = perform(flow.send(reply))
    except StopIteration:
        pass


def drive(flow, naps=None, at_nap=None):
    """
    Run a flow; naps are noted, not taken.
    """
    try:
        effect = next(flow)
        while True:
            if isinstance(effect, Sleep):
                (naps if naps is not None else []).append(effect.seconds)
                if at_nap is not None:
                    at_nap()
            try:
                reply = perform(effect)
            except AiLibError as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(reply)
    except StopIteration as done:
        return done.value


@attrs.define
class Desk:
    """
    A run, what it told and what it noted.
    """

    run: ProviderRun
    told: dict
    notes: dict
    states: list

    def submit(self, requests, notes=None):
        self.run.resume(notes or {})
        for index, request in enumerate(requests):
            drive(self.run.add(index, request))
        drive(self.run.submit())

    def collect(self, **more):
        drive(self.run.collect(), **more)


def desk(server, api, *, provider=None, notes=None, limits=None, **terms):
    spec = SPECS[provider or api]
    spec = attrs.evolve(spec, batch=attrs.evolve(spec.batch, **terms))
    target = ResolvedTarget(spec=spec, base_url=server.base_url(api))
    dialect = dialect_named(spec.dialect)
    told, states = {}, []
    notes = {} if notes is None else notes

    def exchange(_, request, stream):
        response = yield from send(request, stream=stream)
        if response.status >= 400:
            raise dialect.decode_error(target, response)
        return response

    def aim(request):
        return Aimed(target=attrs.evolve(target, model=request.model), dialect=dialect)

    def tell(finished):
        for index, outcome in finished:
            assert index not in told
            told[index] = outcome
        return
        yield

    def note(name, value):
        if value is None:
            del notes[name]
        else:
            notes[name] = json.loads(json.dumps(value))

    run = ProviderRun(
        target=target,
        aim=aim,
        exchange=exchange,
        tell=tell,
        note=note,
        watch=lambda _, status: states.append(status),
        limits=limits or SizeLimits(),
        reading=lambda _, stream: read(stream),
    )
    run.asking.call = Call(Timeout())
    return Desk(run, told, notes, states)


def asked(*prompts, model="m-1"):
    return [ChatCompletionRequest(model, [Message.user(one)]) for one in prompts]


def texts(told):
    return {index: one.text for index, one in sorted(told.items())}


@every_api
@pytest.mark.parametrize("inline", [True, False], ids=["inline", "file"])
def test_items_find_their_answers(server, api, inline):
    """
    Each item gets its own answer, though results come in another order; one that is refused, or is not
    mentioned, touches no other.
    """
    here = desk(server, api, inline_requests=100 if inline else 0)

    here.submit(asked("one", "refuse", "two", "forget", "one"))
    here.collect()

    assert sorted(here.told) == [0, 1, 2, 3, 4]
    answered = {index: here.told[index] for index in (0, 2, 4)}
    assert texts(answered) == {0: "echo one", 2: "echo two", 4: "echo one"}
    assert answered[0].usage.total_tokens == 5
    assert answered[0].provider == api
    assert type(here.told[1]) is InvalidRequestError
    assert "Not this." in here.told[1].message
    assert type(here.told[3]) is InvalidResponseError
    assert "says nothing" in here.told[3].message
    assert here.notes == {}
    assert server.made() == 1
    pickle.loads(pickle.dumps(here.told[3]))


@every_api
def test_batch_is_found_again(server, api):
    """
    After a restart the job goes on from what was noted; nothing is submitted twice, and what is new, or was
    moved, finds its place.
    """
    first = desk(server, api)
    first.submit(asked("one", "two", "two"))

    again = desk(server, api, notes=first.notes)
    again.submit(asked("two", "new", "one", "two"), dict(first.notes))
    again.collect()

    wanted = {0: "echo two", 1: "echo new", 2: "echo one", 3: "echo two"}
    assert texts(again.told) == wanted
    assert [3, 1] == [len(job["entries"]) for job in server.jobs.values()]
    assert again.notes == {}


@every_api
def test_what_expired_may_be_asked_again(server, api):
    """
    Of a batch that expires, what was answered is delivered; the rest says so, and may be retried.
    """
    server.final = "expired"
    here = desk(server, api)

    here.submit(asked("one", "expire"))
    here.collect()

    assert here.told[0].text == "echo one"
    expired = here.told[1]
    if api == "anthropic" or here.states[-1].state == "expired":
        assert type(expired) is RequestTimeoutError
        assert expired.is_retryable
        assert expired.code == "batch_expired"


@every_api
def test_cancelled_batch_brings_what_is_finished(server, api):
    """
    After ``cancel`` the answers that were there are delivered; the rest ends as cancelled.
    """
    server.polls = 5
    here = desk(server, api)
    here.submit(asked("one", "cancel"))

    drive(here.run.cancel())
    here.collect()

    assert here.told[0].text == "echo one"
    assert type(here.told[1]) is StreamCancelledError
    assert here.notes == {}


@pytest.mark.parametrize("api", ["openai", "gemini", "mistral"])
def test_refused_batch_says_why(server, api):
    """
    A job that is refused as a whole ends every item with the provider's words, and names the one at fault.
    """
    server.final, server.refused_line = "failed", 2
    here = desk(server, api)

    here.submit(asked("one", "two"))
    here.collect()

    assert all(type(one) is InvalidRequestError for one in here.told.values())
    assert all("This line is no good." in one.message for one in here.told.values())
    assert ("another" in here.told[0].message) == (api == "openai")
    assert "another" not in here.told[1].message


@every_api
def test_models_are_kept_apart_where_they_must(server, api):
    """
    Requests for two models are two jobs, unless a job may have several.
    """
    here = desk(server, api)

    here.submit([*asked("a", model="m-1"), *asked("b", model="m-2"), *asked("c")])
    here.collect()

    assert texts(here.told) == {0: "echo a", 1: "echo b", 2: "echo c"}
    assert server.made() == (1 if api == "anthropic" else 2)


@every_api
@pytest.mark.parametrize(
    "limit", [{"max_requests": 2}, {"max_bytes": 500}], ids=["count", "size"]
)
def test_large_batches_are_split(server, api, limit):
    """
    More than a job takes goes in several, by number or by size.
    """
    here = desk(server, api, **limit)

    here.submit(asked(*(f"{number} {'x' * 100}" for number in range(5))))
    here.collect()

    assert 5 == len(here.told)
    assert all(one.text.startswith("echo") for one in here.told.values())
    assert server.made() > 1
    sizes = [len(job["entries"]) for job in server.jobs.values()]
    assert max(sizes) <= limit.get("max_requests", 5)


@every_api
def test_poll_survives_faults(server, api):
    """
    A question that fails for now is asked again, after as long as the provider says; the batch is not lost.
    """
    server.polls = 3
    here = desk(server, api)
    here.submit(asked("one"))
    pattern = r"GET .*/(batches|jobs)/[\w-]+$"
    server.faults += [
        (pattern, 503, {}),
        (pattern, None, {}),
        (pattern, 429, {"retry-after": "300"}),
        (pattern, 200, {}),
    ]
    naps = []

    here.collect(naps=naps)

    assert texts(here.told) == {0: "echo one"}
    assert 300.0 in naps
    assert naps[0] < naps[1]
    assert {nap for nap in naps if nap > 60} == {300.0}


@every_api
def test_refused_key_keeps_the_notes(server, api):
    """
    An error that waiting does not mend is raised, and the job can still be found.
    """
    here = desk(server, api)
    here.submit(asked("one"))
    server.faults.append((r"GET ", 401, {}))

    with pytest.raises(AuthenticationError):
        here.collect()
    again = desk(server, api, notes=here.notes)
    again.submit(asked("one"), dict(here.notes))
    again.collect()

    assert texts(again.told) == {0: "echo one"}
    assert server.made() == 1


@every_api
def test_forgotten_job_ends_its_items(server, api):
    """
    A job that the provider does not know any more ends its items, not the batch.
    """
    here = desk(server, api, max_requests=1)
    here.submit(asked("one", "two"))
    server.faults += [(r"GET .*/job-1$", 404, {})] * 7
    naps = []

    here.collect(naps=naps)

    assert isinstance(here.told[0], NotFoundError)
    assert here.told[1].text == "echo two"
    assert 60 < sum(naps) < 90


@every_api
def test_lost_job_holds_up_no_other(server, api):
    """
    Once a job is given up, the others are asked after as often as ever.
    """
    here = desk(server, api, max_requests=1)
    here.submit(asked("one", "two"))
    server.faults += [(r"GET .*/job-1$", 404, {})] * 7
    server.polls = 7
    naps = []

    here.collect(naps=naps)

    assert here.told[1].text == "echo two"
    assert max(naps[:6]) > 30 > naps[6]


@every_api
def test_job_that_is_not_found_for_a_moment_is_not_lost(server, api):
    """
    What is there may be answered with 404 shortly after it was made: jobs, results and who cancels ask again.
    """
    here = desk(server, api, inline_requests=0)
    server.polls = 2
    server.faults += [(r"GET .*/job-1$", 404, {})] * 2
    server.faults += [(r"GET .*(content|results|download)$", 404, {})] * 2
    server.faults += [(r"POST .*cancel$", 404, {})]
    here.submit(asked("one", "two"))

    drive(here.run.cancel())
    here.collect()

    assert server.jobs["job-1"]["cancelled"]
    assert {0: "echo one", 1: "echo two"} == texts(here.told)
    assert not server.faults


@every_api
def test_download_that_breaks_off_is_read_again(server, api):
    """
    Results that break off are fetched again, and each item is told of once.
    """
    here = desk(server, api, inline_requests=0)
    here.submit(asked(*map(str, range(50))))
    server.cuts = 2

    here.collect()

    assert texts(here.told) == {number: f"echo {number}" for number in range(50)}


@every_api
def test_job_is_not_made_twice(server, api):
    """
    When nobody knows whether a job was made, none is made again: the items say so.
    """
    here = desk(server, api)
    making = r"POST .*/(batches|jobs|m-1:batchGenerateContent)$"
    server.faults.append((making, None, {}))

    here.submit(asked("one"))
    here.collect()

    assert isinstance(here.told[0], NetworkError)
    assert "not known" in here.told[0].message
    assert not here.told[0].is_retryable
    assert 1 == sum("POST" == method for method, path in server.seen if _makes(path))


@pytest.mark.parametrize("status", [500, 502, 504])
def test_failure_while_a_job_is_made_is_no_refusal(server, status):
    """
    What a gateway says when it has waited in vain tells nothing of the job behind it, so none is made again.
    """
    here = desk(server, "openai")
    server.faults.append((r"POST .*/batches$", status, {}))

    here.submit(asked("one"))
    here.collect()

    assert "not known" in here.told[0].message
    assert not here.told[0].is_retryable
    assert 1 == sum("POST" == method for method, path in server.seen if _makes(path))


def _makes(path):
    return path.endswith(("/batches", "/jobs", ":batchGenerateContent"))


@every_api
def test_refused_submission_is_tried_again(server, api):
    """
    A submission that the provider refuses for now is sent again.
    """
    here = desk(server, api)
    server.faults += [(r"POST ", 429, {"retry-after": "1"}), (r"POST ", 503, {})]

    here.submit(asked("one"))
    here.collect()

    assert texts(here.told) == {0: "echo one"}


@every_api
def test_submission_that_is_wrong_ends_its_items(server, api):
    """
    What a submission is refused for is what its items end in.
    """
    here = desk(server, api)
    server.faults.append((r"POST ", 400, {}))

    here.submit(asked("one", "two"))
    here.collect()

    assert [InvalidRequestError] * 2 == [type(one) for one in here.told.values()]
    assert here.told[0] is not here.told[1]


def test_what_cannot_be_said_is_told_with_the_item(server):
    """
    Parameters and headers that do not go along are warned of on the item's own answer.
    """
    here = desk(server, "openai")
    request = ChatCompletionRequest(
        "m-1", [Message.user("hi")], top_k=3, extra_headers={"x-trace": "1"}
    )

    here.submit([request])
    here.collect()

    warned = " ".join(here.told[0].warnings)
    assert "top_k" in warned
    assert "extra_headers" in warned


def test_request_in_another_dialect_is_refused(server):
    """
    A request in a dialect that the provider's batches do not take ends there, and says which they take.
    """
    here = desk(server, "openai", endpoints={"openai_responses": "/v1/responses"})

    here.submit(asked("one"))

    assert type(here.told[0]) is UnsupportedFeatureError
    assert "openai_responses" in here.told[0].message


def test_provider_without_batches_is_refused(server):
    """
    Who has no batch API is told so before anything is sent.
    """
    spec = SPECS["ollama"]
    target = ResolvedTarget(spec=spec, base_url="http://127.0.0.1:1")

    with pytest.raises(UnsupportedFeatureError, match="ollama has no batch API"):
        ProviderRun(target=target, aim=None, exchange=None, tell=None, reading=None)


def test_upload_elsewhere_is_refused(server):
    """
    A file goes to the host that the key belongs to, or nowhere.
    """
    server.upload_host = "https://elsewhere.example"
    here = desk(server, "gemini", inline_requests=0)

    here.submit(asked("one"))

    assert type(here.told[0]) is InvalidResponseError
    assert "elsewhere.example" in here.told[0].message


def test_results_come_from_the_same_host(server):
    """
    Wherever Anthropic says that the results are, they are fetched where the job was made.
    """
    here = desk(server, "anthropic")

    here.submit(asked("one"))
    here.collect()

    assert ("GET", "/anthropic/v1/messages/batches/job-1/results") == server.seen[-1]


def test_gemini_names_its_answers(server):
    """
    A few requests go to Gemini in a file too: what goes with the job itself may be answered without names.
    """
    here = desk(server, "gemini")

    here.submit(asked("one", "two"))
    here.collect()

    assert {0: "echo one", 1: "echo two"} == texts(here.told)
    assert "fileName" in server.bodies["job-1"]["inputConfig"]


def test_together_uploads_in_its_own_words(server):
    """
    Differences among those who speak OpenAI's API are data.
    """
    here = desk(server, "openai", provider="together")

    here.submit(asked("one"))
    here.collect()

    assert texts(here.told) == {0: "echo one"}
    assert ("POST", "/openai/v1/files/upload") == server.seen[0]


def test_zhipu_names_its_endpoint(server):
    """
    Lines and job name the endpoint as the record has it, and no window that there is not.
    """
    here = desk(server, "openai", provider="zhipuai")

    here.submit(asked("one"))

    body = server.bodies["job-1"]
    assert "/v4/chat/completions" == body["endpoint"] == body["lines"][0]["url"]
    assert "completion_window" not in body


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"job": {"id": "j", "status": "IN_PROGRESS"}}, "running"),
        ({"id": "j", "status": "COMPLETED"}, "completed"),
    ],
    ids=["wrapped", "capitals"],
)
def test_statuses_in_other_clothes(status, state):
    """
    Together wraps its jobs, and writes statuses in capitals.
    """
    target = ResolvedTarget(spec=SPECS["together"], base_url="https://x.example/v1")
    job = ProviderJob(provider="together", base_url="", id="j", marks=())
    response = HttpResponse(status=200, body=json.dumps(status).encode())

    found = decode_status(batch_api_named("openai"), target, job, response)

    assert state == found.state


@every_api
def test_answer_without_a_status_is_no_status(api):
    """
    An answer that says nothing of a job is an error of the answer, whatever it is.
    """
    target = ResolvedTarget(spec=SPECS[api], base_url="https://x.example/v1")
    job = ProviderJob(provider=api, base_url="", id="batches/j", marks=())

    for body in (b"{}", b"[]", b"null", b"<html>"):
        with pytest.raises(InvalidResponseError):
            decode_status(
                batch_api_named(api), target, job, HttpResponse(status=200, body=body)
            )


def test_count_beyond_reason_is_none():
    """
    A count that no counter holds ends no batch.
    """
    target = ResolvedTarget(spec=SPECS["gemini"], base_url="https://x.example/v1")
    job = ProviderJob(provider="gemini", base_url="", id="batches/j", marks=())
    stats = {"requestCount": "9" * 5000, "successfulRequestCount": "3"}
    body = {"metadata": {"state": "BATCH_STATE_RUNNING", "batchStats": stats}}

    found = batch_api_named("gemini").read_status(target, job, body)

    assert (None, 3) == (found.total, found.done)


@every_api
@pytest.mark.parametrize("entry", [None, [], {}, "x", {"custom_id": 3.5j}, {"key": []}])
def test_result_without_a_name_is_passed_over(api, entry):
    """
    A line that names no request is no result.
    """
    assert batch_api_named(api).decode_result(entry) is None


def test_unknown_batch_api():
    """
    An API that there is not is a mistake of the record.
    """
    with pytest.raises(ConfigurationError, match="telepathy"):
        batch_api_named("telepathy")


@pytest.mark.parametrize(
    "spec", [one for one in CATALOG if one.batch], ids=lambda spec: spec.id
)
def test_terms_hold_together(spec):
    """
    Every record names an API and dialects that there are, its own among them.
    """
    assert spec.batch.api in BATCH_APIS
    assert spec.dialect in spec.batch.endpoints
    assert set(spec.batch.endpoints) <= set(DIALECTS)


@pytest.mark.parametrize(
    ("provider", "days", "mode"),
    [
        ("openai", 1, "provider"),
        ("gemini", 1, "live"),
        ("gemini", 2, "provider"),
        ("azure_openai", 30, "live"),
    ],
)
def test_deadline_is_kept(provider, days, mode):
    """
    A smart batch goes where it is sure to be over in time, not where a day is but the aim.
    """
    target = ResolvedTarget(spec=SPECS[provider], base_url="https://x.example/v1")
    options = BatchOptions(smart=True, deadline=days * 24 * 3600)

    assert mode == options.settled(target, iter(())).mode


def test_jobs_are_kept_as_json():
    """
    A job goes to JSON and back; a note of something else is none, nor one of another place.
    """
    job = ProviderJob(provider="openai", base_url="b", id="j-1", marks=(b"123456",))
    spec = SPECS["openai"]
    notes = {
        job.note: json.loads(json.dumps(job.to_json())),
        "provider batch x": {"id": "x", "marks": "!"},
        "something": 3,
    }

    assert [job] == jobs_in(notes, ResolvedTarget(spec=spec, base_url="b"))
    assert [] == jobs_in(notes, ResolvedTarget(spec=spec, base_url="c"))


def test_form_is_the_same_each_time():
    """
    The same requests make the same bytes.
    """
    one = multipart({"purpose": "batch"}, [b"{}", b"[]"])

    assert one == multipart({"purpose": "batch"}, [b"{}", b"[]"])
    assert one != multipart({"purpose": "batch"}, [b"{}", b"{}"])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_at_every_split(size):
    """
    Lines are the same however the bytes are cut; those too long are counted, and the next are read.
    """
    data = b"one\n\n" + b"x" * 50 + b"\ntwo\r\nthree"
    lines, found = Lines(20), []
    for at in range(0, len(data), size):
        found += lines.feed(data[at : at + size])

    assert [b"one", b"two", b"three"] == found + lines.close()
    assert 1 == lines.oversize


def test_result_that_is_too_large_says_so(server):
    """
    A result beyond the bound of an event ends its item, and no other.
    """
    limits = SizeLimits(event=2000)
    here = desk(server, "openai", limits=limits)

    here.submit(asked("one", "x" * 3000))
    here.collect()

    assert here.told[0].text == "echo one"
    assert type(here.told[1]) is ResponseTooLargeError


@pytest.mark.parametrize(
    "odd",
    [
        '"logprob": -Infinity',
        '"logprob": NaN',
        r'"text": "\ud800"',
        '"x": ' + "[" * 999,
    ],
    ids=["infinity", "nan", "surrogate", "deep"],
)
def test_odd_result_touches_no_other(server, odd):
    """
    What is no strict JSON in one result, such as the logarithm of a probability of nought, keeps nobody from the others.
    """
    here = desk(server, "openai")
    here.submit(asked("one", "odd"))
    kept = server.keep

    def keep(lines):
        name = kept(lines)
        head = b'"index": 0, ' + odd.encode()
        server.files[name] = server.files[name].replace(b'"index": 0', head, 1)
        return name

    server.keep = keep
    here.collect()

    assert "echo one" == here.told[0].text
    assert {0, 1} == set(here.told)


def test_results_are_never_in_memory_at_once(server):
    """
    Results of many megabytes are read line by line, and forgotten once they were told of.
    """
    here = desk(server, "openai")
    here.submit(asked(*map(str, range(1000))))
    names = list(here.run._entries)

    def tell(finished):
        here.told.update((index, True) for index, _ in finished)
        return
        yield

    here.run.tell = tell
    message = {"role": "assistant", "content": "x" * 40_000}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    tail = json.dumps({"status_code": 200, "body": body})
    status = {"id": "job-1", "status": "completed", "output_file_id": "file-9"}
    flow = here.run.collect()
    next(flow)
    read = flow.send(HttpResponse(status=200, body=json.dumps(status).encode()))
    assert read.stream
    read = flow.send(HttpResponse(status=200, stream=object()))
    tracemalloc.start()

    for name in names:
        line = f'{{"custom_id":"{name}","response":{tail}}}\n'.encode()
        flow.send(line[:30_000])
        read = flow.send(line[30_000:])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(flow.send(b""), Close)
    drive_on(flow, None)

    assert 1000 == len(here.told)
    assert isinstance(read, Read)
    assert peak < 2_000_000


def test_waits_grow_to_a_bound():
    """
    Each wait is longer than the one before, up to the longest.
    """
    waits = Polling(first=1, factor=2, longest=5).waits()

    assert [1, 2, 4, 5, 5] == [next(waits) for _ in range(5)]
