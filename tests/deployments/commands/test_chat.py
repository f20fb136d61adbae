"""A conversation with whatever a terminal, a file or a person in a hurry sends. How an answer is made is tested
elsewhere."""

import io
import sys
from collections.abc import Callable, Sequence

import pytest

from blocks import store
from blocks.journal import served
from blocks.models.template import Message
from configs.errors import BadInput
from deployments.commands.chat import Conversation, chat
from deployments.serving.recording import Recorder
from deployments.serving.responder import Reply
from tests.deployments.serving.test_recording import described, reply

Type = Callable[[bytes], None]


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def type_(monkeypatch: pytest.MonkeyPatch) -> Type:
    return lambda sent: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent), encoding="utf-8"))


def answering(messages: Sequence[Message]) -> Reply:
    """Says the question again; one of more than 50 characters is too long."""
    question = messages[-1].content
    question.encode()
    if len(question) > 50:
        raise BadInput("the question has 99 tokens")
    made = reply("base")
    return made.model_copy(
        update={"sections": made.sections.model_copy(update={"response": f"{len(messages)}:{question}"})}
    )


@pytest.fixture
def conversation() -> Conversation:
    with store.create("release") as folder:
        (folder.path / "file").write_text("x")
    return Conversation(answering, Recorder(folder.artifact, described(log="full")), why=False)


def test_bytes_that_are_no_text_are_asked_as_replacement_characters(
    conversation: Conversation, type_: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    type_(b"\xff\xfe what\n")
    conversation.go_on()
    conversation.ask("an argument \udcff")
    assert capsys.readouterr().out == "1:�� what\n3:an argument ?\n"
    assert [line.prompt for line in served.read("", "9") if isinstance(line, served.Served)] == [
        "�� what",
        "an argument ?",
    ]


def test_an_answer_commands_no_terminal(conversation: Conversation, capsys: pytest.CaptureFixture[str]) -> None:
    conversation.ask("a\x1b[2J\x07\x9b1mb\tc\nd\r")
    assert capsys.readouterr().out == "1:a[2J1mb\tc\nd\n"


def test_a_question_that_is_too_long_ends_a_file_but_no_persons_conversation(
    conversation: Conversation, type_: Type, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = b"one\n" + 60 * b"x" + b"\ntwo\n"
    type_(lines)
    with pytest.raises(BadInput, match="99 tokens"):
        conversation.go_on()
    monkeypatch.setattr(sys, "stdin", Terminal(io.BytesIO(lines), encoding="utf-8"))
    conversation.go_on()
    told = capsys.readouterr()
    assert [line for line in told.out.replace("> ", "").split("\n") if line] == ["1:one", "3:one", "5:two"], (
        "what was too long is not in the conversation"
    )
    assert told.err == "cogumi: the question has 99 tokens\n"


def test_slips_of_commands_are_not_asked(
    conversation: Conversation, type_: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    type_(b"/good\nhi\n/goood\n/quit\n/bad\n\nnot read\n")
    conversation.go_on()
    told = capsys.readouterr()
    assert told.out == "1:hi\n"
    assert [line[:12] for line in told.err.split("\n")] == ["no recorded ", "there is no ", "there is no ", "noted", ""]


def test_no_standard_input_is_the_end(conversation: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    conversation.go_on()


@pytest.mark.parametrize("prompt", ["", " \n "])
def test_an_empty_prompt_is_refused(prompt: str) -> None:
    with pytest.raises(BadInput, match="--prompt is empty"):
        chat(prompt, False, None)
