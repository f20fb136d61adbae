"""Public benchmarks as held-out questions: one small reader per format, in a table.

A reader turns a row of the file into a prompt, how its answer is checked, and a reference answer. Not here: the
rehearsal world, and choosing questions (held_out.py).
"""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from blocks.records import Difficulty, Domain, Expected, Question
from configs.errors import BadInput, Transient
from configs.phases.evaluation import Benchmark

Row = dict[str, Any]
LETTERS = "ABCDEFGHIJ"


class Posed(NamedTuple):
    """A row as a question: prompt, how the answer is checked, a right answer."""

    prompt: str
    expected: Expected
    reference: str


class Reader(NamedTuple):
    """How a format is read."""

    domain: Domain
    difficulty: Difficulty
    task_type: str
    pose: Callable[[Row], Posed]


def _gsm8k(row: Row) -> Posed:
    solution, number = re.sub(r"<<.*?>>", "", row["answer"]).split("####")
    value = number.strip().replace(",", "")
    prompt = f"{row['question']}\n\nEnd your answer with the final number on a line of its own."
    return Posed(prompt, Expected(kind="value", value=value), f"{solution.strip()}\n{value}")


def _humaneval(row: Row) -> Posed:
    prompt = f"Complete this Python function. Answer with the whole code, imports included.\n\n{row['prompt']}"
    tests = f"{_prelude(row['prompt'], row['entry_point'], row['test'])}{row['test']}\n\ncheck({row['entry_point']})"
    return Posed(prompt, Expected(kind="code", value=tests), row["prompt"] + row["canonical_solution"])


def _prelude(prompt: str, wanted: str, tests: str) -> str:
    """What the question itself defines and its tests use: they take it from here, since an answer could change it."""
    try:
        question, used = (
            ast.parse(prompt).body,
            {node.id for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Name)},
        )
    except SyntaxError:
        return ""
    defined = [node for node in question if isinstance(node, ast.FunctionDef) and node.name != wanted]
    if not used & {node.name for node in defined}:
        return ""
    imports = [node for node in question if isinstance(node, ast.Import | ast.ImportFrom)]
    return "".join(f"{ast.unparse(node)}\n\n" for node in [*imports, *defined])


def _mbpp(row: Row) -> Posed:
    tests = "\n".join(row["test_list"])
    prompt = f"{row['text']}\n\nAnswer with the Python code. It must pass these tests:\n{tests}"
    return Posed(
        prompt,
        Expected(kind="code", value="\n".join(filter(None, [row["test_setup_code"], tests]))),
        row["code"].replace("\r\n", "\n"),
    )


def _bfcl(row: Row) -> Posed:
    """One turn; every argument has a list of right values, where "" means that it may be left out."""
    request = row["question"][0][0]["content"]
    calls = [{"tool": tool, **_first(arguments)} for truth in row["ground_truth"] for tool, arguments in truth.items()]
    prompt = (
        f"{request}\n\nYou can call these functions: {json.dumps(row['function'])}\n"
        'Answer with the calls alone, each as JSON: {"tool": its name, and every argument by name}. Leave out what was '
        "not asked for."
    )
    reference = "\n".join(json.dumps(call, separators=(",", ":")) for call in calls)
    return Posed(prompt, Expected(kind="call", value=json.dumps({"alternatives": row["ground_truth"]})), reference)


def _first(arguments: dict[str, list[Any]]) -> dict[str, Any]:
    """The first right value of every argument that may not be left out; an object inside has lists of its own."""
    return {
        name: _first(values[0]) if isinstance(values[0], dict) else values[0]
        for name, values in arguments.items()
        if "" not in values
    }


def _choice(question: str, choices: list[str], right: int) -> Posed:
    options = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, choices, strict=False))
    return Posed(
        f"{question}\n{options}\n\nAnswer with the letter alone.",
        Expected(kind="text", value=LETTERS[right]),
        LETTERS[right],
    )


def _mmlu(row: Row) -> Posed:
    right = row["answer"] if isinstance(row["answer"], int) else LETTERS.index(row["answer"])
    return _choice(row["question"], list(row["choices"]), right)


def _hellaswag(row: Row) -> Posed:
    return _choice(f"How does this go on? {row['ctx']}", row["endings"], int(row["label"]))


READERS: dict[str, Reader] = {
    "gsm8k": Reader("math", "hard", "word_problem", _gsm8k),
    "humaneval": Reader("coding", "hard", "code_completion", _humaneval),
    "mbpp": Reader("coding", "easy", "code_generation", _mbpp),
    "bfcl": Reader("tool_use", "easy", "function_call", _bfcl),
    "mmlu": Reader("reasoning", "hard", "multiple_choice", _mmlu),
    "hellaswag": Reader("common_sense", "easy", "multiple_choice", _hellaswag),
}


def questions(benchmark: Benchmark) -> Iterator[tuple[Question, str]]:
    """Every question with its reference answer, in the file's order.

    Raises:
        BadInput: the file is missing, has another digest, or is not in the format.
        Transient: the network failed.
    """
    reader = READERS[benchmark.format]
    rows = _rows(benchmark.url, benchmark.sha256)
    if benchmark.format == "bfcl":
        if benchmark.answers_url is None:
            raise BadInput(f"benchmark bfcl ({benchmark.url}): the ground truth is a file of its own; set answers_url")
        truths = {row["id"]: row["ground_truth"] for row in _rows(benchmark.answers_url, None)}
        rows = [row | {"ground_truth": truths[row["id"]]} for row in rows if row["id"] in truths]
    for number, row in enumerate(rows, 1):
        try:
            posed = reader.pose(row)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise BadInput(
                f"{benchmark.url}, row {number}: not a {benchmark.format} row ({type(error).__name__}: {error}); check "
                "format and url"
            ) from None
        name = hashlib.sha256(posed.prompt.encode()).hexdigest()[:16]
        yield (
            Question(
                id=name,
                prompt=posed.prompt,
                domain=reader.domain,
                difficulty=reader.difficulty,
                task_type=reader.task_type,
                expected=posed.expected,
                source=benchmark.format,
            ),
            posed.reference,
        )


def _rows(url: str, sha256: str | None) -> list[Row]:
    raw = _fetch(url)
    found = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and found != sha256:
        raise BadInput(
            f"{url}: its SHA-256 is {found}, the profile says {sha256}; pin the right revision or correct the profile"
        )
    name = url.partition("?")[0]
    if name.endswith(".parquet"):
        import io

        import pyarrow.parquet as parquet

        return parquet.read_table(io.BytesIO(raw)).to_pylist()
    try:
        if name.endswith(".gz"):
            import gzip

            raw = gzip.decompress(raw)
        elif name.endswith(".zst"):
            import zstandard

            raw = zstandard.ZstdDecompressor().stream_reader(raw).read()
        return [json.loads(line) for line in raw.decode().split("\n") if line.strip()]
    except (OSError, ValueError) as error:
        raise BadInput(f"{url}: not readable as JSON lines ({error})") from None


def _fetch(url: str) -> bytes:
    import fsspec
    import httpx

    try:
        if url.startswith(("http://", "https://")):
            reply = httpx.get(url, follow_redirects=True, timeout=60)
            if reply.status_code in (429, 500, 502, 503, 504):
                raise Transient(f"{url}: the server answered {reply.status_code}")
            if reply.status_code != 200:
                raise BadInput(f"{url}: the server answered {reply.status_code}; check the address")
            return reply.content
        with fsspec.open(url, "rb") as stream:
            return stream.read()
    except (FileNotFoundError, PermissionError, ValueError, ImportError) as error:
        raise BadInput(f"cannot read the benchmark {url}: {error}") from None
    except (OSError, httpx.TransportError) as error:
        raise Transient(f"cannot read the benchmark {url} ({type(error).__name__}); check the network") from error
