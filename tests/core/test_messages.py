"""
Messages and their parts.
"""

import attrs
import pytest

from ai_lib._core.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    Role,
    TextPart,
)
from ai_lib._core.tools import Tool, ToolCall, ToolChoice

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
PARTS = [ImagePart, AudioPart, FilePart]


@pytest.mark.parametrize(
    ("message", "role", "text"),
    [
        (Message.system("Be brief."), Role.SYSTEM, "Be brief."),
        (Message.user("Hi"), Role.USER, "Hi"),
        (Message.assistant("Hello"), Role.ASSISTANT, "Hello"),
        (Message.assistant(), Role.ASSISTANT, ""),
        (Message.assistant(None), Role.ASSISTANT, ""),
        (Message.tool("12", "call_1"), Role.TOOL, "12"),
        (Message("developer", "Be brief."), Role.DEVELOPER, "Be brief."),
    ],
)
def test_each_role_has_a_way_to_say_it(message, role, text):
    """
    Named constructors set role and content; a role may be its name.
    """
    assert role is message.role
    assert text == message.text


def test_unknown_role_is_refused():
    """
    The error lists the roles and what was there.
    """
    with pytest.raises(
        ValueError,
        match="one of system, developer, user, assistant, tool, not 'robot'",
    ):
        Message("robot", "Hi")


@pytest.mark.parametrize(
    ("content", "stored"),
    [
        pytest.param("Hi", "Hi", id="string"),
        pytest.param(TextPart("Hi"), (TextPart("Hi"),), id="one part"),
        pytest.param(["Hi"], (TextPart("Hi"),), id="strings in a list"),
        pytest.param(
            iter([TextPart("Hi"), ImagePart.from_url("https://h/a.png")]),
            (TextPart("Hi"), ImagePart(url="https://h/a.png")),
            id="iterator",
        ),
        pytest.param([], (), id="nothing"),
    ],
)
def test_content_is_a_string_or_parts(content, stored):
    """
    Whatever comes is stored as a string or a tuple of parts.
    """
    assert stored == Message.user(content).content


@pytest.mark.parametrize("content", [[5], [b"x"], [None], [{"type": "text"}], [["Hi"]]])
def test_content_of_anything_else_is_refused(content):
    """
    The error names the type that was there, and not its value.
    """
    kind = type(content[0]).__name__

    with pytest.raises(TypeError, match=f"not {kind}"):
        Message.user(content)


@pytest.mark.parametrize("text", [None, 5, b"x"])
def test_text_part_holds_text(text):
    """
    Only strings are text.
    """
    with pytest.raises(TypeError):
        TextPart(text)


def test_text_of_parts_is_joined():
    """
    Images have none; nothing is put between.
    """
    message = Message.user(["Look: ", ImagePart.from_url("https://h/a.png"), "nice"])

    assert "Look: nice" == message.text


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("Hi", (TextPart("Hi"),)),
        ("", ()),
        ([TextPart("")], (TextPart(""),)),
    ],
)
def test_parts_are_there_for_strings_too(content, parts):
    """
    A string is one part, an empty one is none.
    """
    assert parts == Message.user(content).parts


def test_tool_calls_and_results_find_each_other():
    """
    An assistant's message keeps its calls as a tuple, a tool's message the id.
    """
    call = ToolCall("call_1", "weather", '{"city": "Rome"}')

    asked = Message.assistant(tool_calls=[call])
    answered = Message.tool("12 °C", call.id, name=call.name)

    assert (call,) == asked.tool_calls
    assert ("call_1", "weather") == (answered.tool_call_id, answered.name)


def test_message_is_frozen_and_changed_by_evolve():
    """
    Nobody changes a message in place.
    """
    message = Message.user("Hi")

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        message.content = "Ho"
    assert "Ho" == attrs.evolve(message, content="Ho").content
    assert "Hi" == message.content


def test_opaque_state_is_not_in_the_repr():
    """
    What goes back to the provider only is shown to nobody.
    """
    message = Message("assistant", "Hi", provider_state={"gemini": "LEAK"})

    assert "LEAK" not in repr(message)
    assert {"gemini": "LEAK"} == message.provider_state


@pytest.mark.parametrize("part", PARTS)
def test_part_is_made_of_bytes(part):
    """
    Bytes and type are kept, and the repr tells their number only.
    """
    made = part.from_bytes(bytearray(b"LEAK"), "x/y")

    assert (b"LEAK", "x/y", None) == (made.data, made.mime, made.url)
    assert bytes is type(made.data)
    assert "LEAK" not in repr(made)
    assert "<4 bytes>" in repr(made)


@pytest.mark.parametrize("part", PARTS)
def test_part_is_made_of_a_url(part):
    """
    A URL is kept as it is, a data URL is taken apart.
    """
    plain = part.from_url("https://example.com/a?b=c")
    inline = part.from_url("data:image/png;base64,aGk=")

    assert ("https://example.com/a?b=c", None) == (plain.url, plain.data)
    assert (None, b"hi", "image/png") == (inline.url, inline.data, inline.mime)


@pytest.mark.parametrize("part", PARTS)
def test_part_of_a_broken_data_url_is_refused(part):
    """
    What is no base64 is a ValueError here, not at the provider.
    """
    with pytest.raises(ValueError, match="valid base64"):
        part.from_url("data:image/png;base64,!!!")


@pytest.mark.parametrize("part", PARTS)
def test_part_is_read_from_a_file_at_once(part, tmp_path):
    """
    What becomes of the file later does not matter.
    """
    path = tmp_path / "a.png"
    path.write_bytes(PNG)

    made = part.from_file(path)
    path.unlink()

    assert (PNG, "image/png", None) == (made.data, made.mime, made.url)


def test_part_from_a_file_minds_root_and_mime(tmp_path):
    """
    The keywords reach the reader.
    """
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    (tmp_path / "root").mkdir()

    with pytest.raises(ValueError, match="not inside"):
        ImagePart.from_file(path, root=tmp_path / "root")
    assert "x/y" == ImagePart.from_file(path, mime="x/y").mime


def test_missing_file_is_an_os_error(tmp_path):
    """
    The system's own error passes.
    """
    with pytest.raises(FileNotFoundError):
        ImagePart.from_file(tmp_path / "none.png")


def test_parts_take_what_is_their_own():
    """
    Images have a detail, files a name, which is the file's unless another is given.
    """
    image = ImagePart.from_url("https://h/a.png", detail="low")
    named = FilePart.from_bytes(b"%PDF-", "application/pdf", name="a.pdf")

    assert "low" == image.detail
    assert "a.pdf" == named.name


def test_file_part_is_named_for_its_file(tmp_path):
    """
    The name goes along without its directory.
    """
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.7")

    assert "report.pdf" == FilePart.from_file(path).name
    assert "other.pdf" == FilePart.from_file(path, name="other.pdf").name


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [('{"a": [1]}', {"a": [1]}), ("", {}), ("  ", {}), ("[1]", [1])],
)
def test_arguments_of_a_call_are_parsed_when_asked(arguments, parsed):
    """
    Empty text means no arguments.
    """
    assert parsed == ToolCall("1", "f", arguments).parse_arguments()


def test_broken_arguments_are_a_value_error():
    """
    What the model wrote wrong is found when it is parsed, not before.
    """
    call = ToolCall("1", "f", '{"a": ')

    with pytest.raises(ValueError):
        call.parse_arguments()
    assert '{"a": ' == call.arguments


def test_tool_choice_is_made_of_strings():
    """
    Members compare with the words.
    """
    assert ["auto", "none", "required"] == list(ToolChoice)


def test_tool_has_a_name():
    """
    A name that is no string is a TypeError.
    """
    with pytest.raises(TypeError):
        Tool(5)


@pytest.mark.parametrize("make", [Message.user, Message.system], ids=["user", "system"])
def test_nothing_said_is_refused(make):
    """
    ``None`` is no text: it would go out as an empty prompt.
    """
    with pytest.raises(TypeError, match="None"):
        make(None)
