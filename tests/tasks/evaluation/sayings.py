"""Questions that the tiny student can answer, as an artifact."""

import json

from blocks import store
from blocks.records import DOMAINS, Artifact, Expected, Question
from tests.tiny_llama import PROMPTS, saying


def sayings(wrong: int = 0) -> Artifact:
    """The tiny student's prompts over two domains; the first ``wrong`` expect what it will not say."""
    asked = [
        Question(
            id=f"q{number}",
            prompt=prompt,
            domain=DOMAINS[number % 2],
            difficulty="easy" if number % 3 else "hard",
            task_type="say",
            expected=Expected(kind="text", value="nothing" if number < wrong else saying(prompt)),
            source="tests",
        )
        for number, prompt in enumerate(PROMPTS)
    ]
    with store.create("questions", settings={"wrong": wrong}) as folder:
        (folder.path / "questions.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in asked))
        (folder.path / "references.jsonl").write_text(
            "".join(json.dumps({"question": one.id, "answer": saying(one.prompt)}) + "\n" for one in asked)
        )
    return folder.artifact
