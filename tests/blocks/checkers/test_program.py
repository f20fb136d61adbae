"""The program in an answer: a right solution in many wrappings passes, a wrong one in the same does not."""

import pytest

from blocks.checkers.judge import check_all
from blocks.checkers.program import program
from blocks.records import Expected

TESTS = "assert f(2) == 5\nassert f([1][0]) == 4"
RIGHT = 'def f(x):\n    """Add three."""\n\n    return x + 3'
WRONG = RIGHT.replace("3", "4")
WRAPPINGS = {
    "bare": "{code}",
    "a fence": "```python\n{code}\n```",
    "prose around a fence": "Here is the function:\n\n```python\n{code}\n```\n\nIt adds three.",
    "no tag": "```\n{code}\n```",
    "no space before the fence": "The function:\n```python\n{code}\n```\nDone.",
    "py": "```py\n{code}\n```",
    "Python3": "```Python3\n{code}\n```",
    "python3.11": "```python3.11\n{code}\n```",
    "PYTHON": "```PYTHON\n{code}\n```",
    "ipython": "```ipython3\n{code}\n```",
    "braces": "```{{.python}}\n{code}\n```",
    "braces and attributes": "```{{.python .numberLines startFrom=\"1\"}}\n{code}\n```",
    "braces without a dot": "```{{python}}\n{code}\n```",
    "a title": "```python title=\"f.py\"\n{code}\n```",
    "a file's name": "```python:src/f.py\n{code}\n```",
    "only a file's name": "```f.py\n{code}\n```",
    "a space before the tag": "``` python\n{code}\n```",
    "spaces after the tag": "```python   \n{code}\n```   ",
    "lines to show": "```python {{2-3}} showLineNumbers\n{code}\n```",
    "tildes": "~~~python\n{code}\n~~~",
    "tildes without a tag": "~~~\n{code}\n~~~",
    "a long fence": "`````python\n{code}\n`````",
    "a long closing fence": "```python\n{code}\n``````",
    "fences in a fence": "````markdown\n```python\n{code}\n```\n````",
    "unclosed": "```python\n{code}",
    "unclosed, with a line more": "Here:\n```python\n{code}\n",
    "cut off in an example": "```python\n{code}\n\nprint(f(",
    "cut off in another function": "```python\n{code}\n\ndef main():\n    print(f(2",
    "a shell's block after": "```python\n{code}\n```\n\nRun it:\n\n```bash\npython f.py\n```",
    "a shell's block before": "```bash\npip install nothing\n```\n\n```python\n{code}\n```",
    "an untagged shell's block": "```python\n{code}\n```\n\n```\n$ python f.py\n5\n```",
    "output after": "```python\n{code}\n```\nOutput:\n```\n5\n```",
    "output with a tag": "```python\n{code}\n```\nOutput:\n```text\nx\n```",
    "JSON after": "```python\n{code}\n```\n```json\n{{\"x\": true}}\n```",
    "another language's version": "```python\n{code}\n```\n\n```javascript\nfunction f(x) {{ return x + 3; }}\n```",
    "tests after": "```python\n{code}\n```\n\n```python\nimport pytest\n\ndef test_f():\n    assert f(1) == 4\n```",
    "wrong tests after": "```python\n{code}\n```\n\n```python\nassert f(1) == 17\n```",
    "an example that raises": "```python\n{code}\n```\n\nUsage:\n\n```python\nprint(f('no number'))\n```",
    "an example that leaves": "```python\n{code}\n```\n\n```python\nimport sys\nprint(f(1))\nsys.exit(0)\n```",
    "an example that reads": "```python\n{code}\n```\n\n```python\nx = int(input())\nprint(f(x))\n```",
    "an example before": "You call it so:\n```python\nprint(f(2))\n```\nand it is\n```python\n{code}\n```",
    "an example in the block": "```python\n{code}\n\nprint(f('no number'))\n```",
    "an assertion in the block": "```python\n{code}\n\n# Example:\nassert f(1) == 4\nassert f(1) == 5, 'a slip'\n```",
    "a session": "```python\n{code}\n```\n\n```python\n>>> f(2)\n5\n```",
    "a session with a tag": "```python\n{code}\n```\n\n```pycon\n>>> f(2)\n6\n```",
    "a signature first": "```python\ndef f(x):\n    pass\n```\nfilled in:\n```python\n{code}\n```",
    "a signature last": "```python\n{code}\n```\nIts signature is\n```python\ndef f(x): ...\n```",
    "a first try": "```python\ndef f(x):\n    return x + 2\n```\nThat is wrong. Better:\n```python\n{code}\n```",
    "a helper before": "```python\ndef helper(x):\n    return x\n```\n\n```python\n{code}\n```",
    "imports in a block": "```python\nimport math\n```\n\n```python\n{code}\n```",
    "CRLF": "crlf:```python\n{code}\n```\n",
    "CRLF and two blocks": "crlf:Here:\n\n```python\n{code}\n```\n\n```bash\nls\n```\n",
    "carriage returns alone": "cr:```python\n{code}\n```\n",
    "in a list": "1. First:\n\n   ```python\n   {indented}\n   ```\n2. Then nothing.",
    "in a list of bullets": "- Code:\n  ```python\n  {two}\n  ```",
    "in a quote": "> ```python\n> {quoted}\n> ```",
    "indented too far": "Code:\n\n    ```python\n{deep}\n    ```\n",
    "an indented block": "The function is\n\n{deep}\n\nand no more.",
    "all indented": "{deep}",
    "indented in the fence": "```python\n{deep}\n```",
    "prose before, no fence": "Sure! Here is the function:\n\n{code}",
    "prose around, no fence": "Sure, here you are.\n\n{code}\n\nThis adds three to x.",
    "prose and an example, no fence": "The solution:\n{code}\nExample: f(2) gives 5.",
    "answer tags": "<answer>\n{code}\n</answer>",
    "answer tags and a fence": "<answer>\n```python\n{code}\n```\n</answer>",
    "answer tags at the fence": "<answer>```python\n{code}\n```</answer>",
    "code tags": "<code>{code}</code>",
    "an element around": "<details>\n<summary>Solution</summary>\n\n```python\n{code}\n```\n</details>",
    "a fence after text": "The code is: ```python\n{code}\n```",
    "a closing fence after code": "```python\n{code}```",
    "a heading and bold": "## Solution\n\n**Code**\n```python\n{code}\n```\n\n---\n*Done.*",
    "wide spaces": "```python\n{wide}\n```",
    "an unseen mark first": "\ufeff```python\n{code}\n```",
    "an unseen mark in the code": "```python\n\u200b{code}\n```",
    "prompts": "```python\n{prompted}\n```",
    "fences in a docstring": "```python\n{code}\n\ndef g():\n    \"\"\"Like this:\n```\nf(2)\n```\n    \"\"\"\n```",
    "an empty block before": "```python\n```\n\n```python\n{code}\n```",
    "elements of HTML": "<pre><code class=\"language-python\">{code}</code></pre>",
    "a session of IPython": "```\nIn [1]: {ipython}\n\nIn [2]: f(2)\nOut[2]: 5\n```",
    "marks around": "[BEGIN]\n{code}\n[DONE]",
    "words around": "BEGIN\n{code}\nEND",
    "only a closing fence": "{code}\n```",
    "tests that import it": "```python\n{code}\n```\n\n```python\nfrom solution import f\ndef test_f():\n    assert "
                            "f(1) == 4\n```",
    "a template last": "```python\n{code}\n```\nThe template was\n```python\ndef f(x):\n    raise "
                       "NotImplementedError\n```",
    "an input in the block": "```python\n{code}\n\nn = int(input())\nprint(f(n))\n```",
    "an exit in the block": "```python\n{code}\n\nimport sys\nsys.exit(0)\n```",
    "a main guard": "```python\n{code}\n\nif __name__ == '__main__':\n    print(f(int(input())))\n```",
}  # fmt: skip
ONE_LINE = {
    "in a line": "The answer is `{code}`.",
    "in a fence of one line": "```python {code}```",
    "a fence of one line": "``` {code} ```",
    "answer tags": "<answer>{code}</answer>",
}


def wrapped(wrapping: str, code: str) -> str:
    text = wrapping.format(
        code=code,
        indented=code.replace("\n", "\n   "),
        two=code.replace("\n", "\n  "),
        quoted=code.replace("\n", "\n> "),
        deep="    " + code.replace("\n", "\n    "),
        wide=code.replace("    ", "\u00a0\u00a0\u00a0 "),
        ipython=code.replace("\n", "\n   ...: "),
        prompted=">>> " + code.replace("\n", "\n... "),
    )
    for start, end in (("crlf:", "\r\n"), ("cr:", "\r")):
        if text.startswith(start):
            return text.removeprefix(start).replace("\n", end)
    return text


def judged(texts: list[str], tests: str = TESTS) -> list[bool]:
    return [verdict.correct for verdict in check_all([(Expected(kind="code", value=tests), text) for text in texts])]


def test_a_right_solution_passes_in_every_wrapping_and_a_wrong_one_in_none() -> None:
    right = [wrapped(wrapping, RIGHT) for wrapping in WRAPPINGS.values()] + [
        one.format(code="def f(x): return x + 3") for one in ONE_LINE.values()
    ]
    wrong = [wrapped(wrapping, WRONG) for wrapping in WRAPPINGS.values()] + [
        one.format(code="def f(x): return x + 4") for one in ONE_LINE.values()
    ]
    names = [*WRAPPINGS, *ONE_LINE]
    assert [name for name, passed in zip(names, judged(right), strict=True) if not passed] == []
    assert [name for name, passed in zip(names, judged(wrong), strict=True) if passed] == []


@pytest.mark.parametrize(
    ("answer", "tests"),
    [
        ("```python\ndef three(): return 3\n```\nand\n```python\ndef f(x): return x + three()\n```", TESTS),
        ("```python\ndef f(x): return x + three()\n```\nwith\n```python\nimport math\n\ndef three(): return "
         "math.floor(3.5)\nassert three() == 4\n```", TESTS),
        ("```python\nfrom functools import lru_cache\n```\n```python\n@lru_cache\ndef three(): return "
         "3\n```\n```python\n@lru_cache\ndef f(x): return x + three()\n```", TESTS),
        ("```python\ndef a(x): return x\n```\n```python\ndef b(x): return -x\n```", "assert a(b(1)) == -1"),
        ("```python\nclass A:\n    pass\n```\n```python\ndef f(): return A()\n```", "assert f() is not None"),
        ("def f(s):\n    return '<code>' + s + '</code>'", "assert f('x') == '<co' + 'de>x</code>'"),
        ("```python\ndef f(s):\n    return s.split('```')\n```", "assert f('a```b') == ['a', 'b']"),
        ("x = 1\ny = 2", "assert x + y == 3"),
        ("```python\ndef sum(a, b): return a + b\n```\n```\n>>> sum(1, 2)\n```", "assert sum(10, 15) == 25"),
        ("table = {}\ndef fill():\n    table[2] = 5\nfill()\ndef f(x): return table[x]", "assert f(2) == 5"),
    ],
)  # fmt: skip
def test_blocks_are_joined_where_one_needs_another(answer: str, tests: str) -> None:
    assert judged([answer], tests) == [True]


@pytest.mark.parametrize(
    "answer",
    ["```python\n" + " " * 80_000 + "\nx = 1", "```python" + " " * 80_000 + "x", "```" * 30_000, "[" * 60_000,
    "```python\n" + "(" * 60_000, "- " * 30_000, "\n```" * 20_000,
     "-" * 60_000 + "1", "def f(x):\n" * 5_000, "x = 1 +\n" * 10_000, "<answer>" * 10_000, "a\n" * 40_000,
     "```python\n" + "x." * 30_000 + "x\n"
     "```", "1" + "+1" * 3_000, "\x00", "\ud800"],
    ids=lambda answer: f"{answer[:12]!r} {len(answer)}",
)  # fmt: skip
def test_any_text_has_a_program(answer: str) -> None:
    assert isinstance(program(answer, TESTS), str)
