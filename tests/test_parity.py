"""
The twins: two packages with the same names, signatures and words.
"""

from __future__ import annotations

import inspect
import re

import pytest

import ai_lib
import ai_lib_async

NAMES = ai_lib.__all__

#: Each package's own, of its HTTP library.
OWN_KEYWORDS = ("session", "http_client")

#: The protocol's names, which differ by an *a*.
AWAITED = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}

#: Plain in both: they wait for nothing.
PLAIN = {
    "cancel",
    "chat_completion_batch_iter",
    "chat_completion_stream_with_cancel",
    "default_chat_model",
    "prepare",
    "with_options",
}


def twins():
    """
    List the names that are not the same object in both packages.
    """
    return [
        name
        for name in NAMES
        if getattr(ai_lib, name) is not getattr(ai_lib_async, name)
    ]


CLASSES = [name for name in twins() if inspect.isclass(getattr(ai_lib, name))]
FUNCTIONS = [name for name in twins() if name not in CLASSES]


def members_of(kind):
    """
    The public members of a class, the async protocol's under their plain names.
    """
    found = {}
    for name in dir(kind):
        plain = AWAITED.get(name, name)
        member = inspect.getattr_static(kind, name)
        own = any(name in vars(one) for one in kind.__mro__[:-1])
        if own and (not name.startswith("_") or plain in AWAITED.values()):
            found[plain] = member
    return found


def signature_of(member):
    """
    A signature as both packages should have it: names, kinds, defaults and annotations.
    """
    function = getattr(member, "fget", member)
    function = getattr(function, "__func__", function)
    parameters = [
        (one.name, one.kind, one.default, _plain(one.annotation))
        for one in inspect.signature(function).parameters.values()
        if one.name not in OWN_KEYWORDS
    ]
    return parameters, _plain(inspect.signature(function).return_annotation)


def _plain(annotation):
    text = annotation if isinstance(annotation, str) else repr(annotation)
    text = re.sub(r"\bAsync(Iterator|Iterable|Generator)\b", r"\1", text)
    return text.replace("HttpxTransport", "RequestsTransport")


def documentation_of(member):
    """
    A docstring without the keyword that each package has for itself, and in blocking words.
    """
    text = inspect.getdoc(member) or ""
    return re.sub(r"\n +(session|http_client): [^\n]*\n", "\n", text)


def test_both_export_the_same_names():
    """
    Both packages list the same names.
    """
    assert ai_lib.__all__ == ai_lib_async.__all__


def test_what_is_not_a_twin_is_the_same_object():
    """
    Only clients, streams and what waits are there twice.
    """
    assert {"AiClient", "ChatCompletionStream", "quick_chat_text"} <= set(twins())
    for name in twins():
        one, other = getattr(ai_lib, name), getattr(ai_lib_async, name)
        assert one.__module__.startswith("ai_lib")
        assert other.__module__.startswith("ai_lib_async")
        assert not issubclass(one, BaseException) if inspect.isclass(one) else True


@pytest.mark.parametrize("name", CLASSES)
def test_twins_have_the_same_members(name):
    """
    Twin classes have the same public members.
    """
    blocking, awaited = getattr(ai_lib, name), getattr(ai_lib_async, name)

    assert set(members_of(blocking)) == set(members_of(awaited))


def pairs():
    """
    Every member of every twin class, and every twin function, in both packages.
    """
    found = {}
    for name in CLASSES:
        blocking, awaited = getattr(ai_lib, name), getattr(ai_lib_async, name)
        others = members_of(awaited)
        found[name] = (blocking, awaited)
        for member, one in members_of(blocking).items():
            if member in others:
                found[f"{name}.{member}"] = (one, others[member])
    for name in FUNCTIONS:
        found[name] = (getattr(ai_lib, name), getattr(ai_lib_async, name))
    return found


PAIRS = pairs()


@pytest.mark.parametrize("name", PAIRS)
def test_twins_have_the_same_words(name):
    """
    Twins have the same docstrings, but for what each HTTP library brings.
    """
    blocking, awaited = PAIRS[name]

    ours, theirs = documentation_of(blocking), documentation_of(awaited)

    if name in ("ChatCompletionStream", "BatchRun"):  # a thread there, a task here
        ours, theirs = (text.partition(". Iterate")[0] for text in (ours, theirs))
        ours, theirs = (text.partition("Iterate it")[0] for text in (ours, theirs))
    if name == "AiClient":  # it tells of threads there, of tasks and event loops here
        ours, theirs = (text[text.index("Args:") :] for text in (ours, theirs))
    assert ours or "__" in name
    assert ours == theirs


CALLABLE = {
    name: pair
    for name, pair in PAIRS.items()
    if not inspect.isdatadescriptor(pair[0]) or isinstance(pair[0], property)
}


@pytest.mark.parametrize("name", [name for name in CALLABLE if name not in CLASSES])
def test_twins_have_the_same_signatures(name):
    """
    Twins have the same parameters, defaults, annotations and results.
    """
    blocking, awaited = PAIRS[name]

    assert signature_of(blocking) == signature_of(awaited)


@pytest.mark.parametrize("name", [name for name in CALLABLE if name not in CLASSES])
def test_what_waits_is_awaited(name):
    """
    What may touch the network is a coroutine function in the async package, and nothing else is.
    """
    _, awaited = PAIRS[name]
    member = name.rpartition(".")[2]
    plain = (
        isinstance(awaited, property | classmethod | staticmethod)
        or member in PLAIN
        or (
            member.startswith("__")
            and member not in ("__enter__", "__exit__", "__next__")
        )
    )

    assert plain != inspect.iscoroutinefunction(awaited)


@pytest.mark.parametrize(
    "package", [ai_lib, ai_lib_async], ids=lambda one: one.__name__
)
def test_constructors_differ_by_their_http_library_alone(package):
    """
    The constructors take the same keywords, but for ``session`` and ``http_client``.
    """
    own = "session" if package is ai_lib else "http_client"
    other = ai_lib_async if package is ai_lib else ai_lib

    mine = set(inspect.signature(package.AiClient).parameters)
    theirs = set(inspect.signature(other.AiClient).parameters)

    assert {own} == mine - theirs
    assert own in inspect.getdoc(package.AiClient)


@pytest.mark.parametrize("name", NAMES)
def test_at_most_two_positional_arguments(name):
    """
    Public functions take at most two arguments by position.
    """
    one = getattr(ai_lib, name)
    functions = {name: one} if inspect.isroutine(one) else {}
    if inspect.isclass(one):
        functions = {
            key: member
            for key, member in vars(one).items()
            if not key.startswith("_") and inspect.isfunction(member)
        }
    for key, function in functions.items():
        kinds = [
            parameter
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind
            in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            and parameter.name not in ("self", "cls")
        ]
        assert len(kinds) <= 2, f"{name}.{key}"
