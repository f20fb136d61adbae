import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import store
from configs.errors import BadInput
from configs.phases.data import Data
from configs.phases.filtering import Filters
from tasks.data import rows
from tasks.data.clean import filter as judging
from tasks.data.clean.filter import as_text, filter_examples, judge_texts, rates
from tasks.data.clean.filters import personal_data as personal
from tasks.data.clean.filters.english import language
from tasks.data.clean.filters.licence_text import licence_text
from tasks.data.clean.filters.personal import accounts
from tasks.data.clean.filters.repetition import longest_run, repeated_line_share, top_gram_share
from tasks.data.clean.filters.table import TABLE, objection
from tasks.data.clean.filters.text import Text
from tasks.data.collect.reader import local_files
from tasks.data.tokens import counter
from tests.living import environment
from tests.tasks.data.conftest import example, examples_artifact, section
from tests.tasks.data.planted import PLANTED, numbers

ASKED = "Write a short note about the weather in the mountains this week."
PROSE = (
    "The weather in the mountains stays cold and bright until Thursday, and then the wind turns and brings snow to "
    "the higher valleys."
)


@pytest.fixture
def filters() -> Filters:
    return Data.model_validate(section("llama-8b", "data")).filters.model_copy(update={"workers": 1})


def reason(filters: Filters, response: str, prompt: str = ASKED, working: str = "") -> str | None:
    tokens = (len(prompt.split()), len(working.split()), len(response.split()))
    found = objection(Text(prompt, response, working, tokens), filters)
    return found[0] if found else None


def test_good_text_passes_every_filter(filters: Filters) -> None:
    for response in (
        PROSE,
        "4",
        "def f(x): return x * 2",
        "None",
        "```python\nprint(1)\n```",
        '{"tool":"weather","city":"Delhi"}',
        "- one\n- two\n- three",
        "北 is the sign for north.",
    ):
        assert reason(filters, response) is None, response


@pytest.mark.parametrize(
    ("name", "response"),
    [
        ("format", "  "),
        ("format", "<noinput>"),
        ("format", "```python\nprint(1)"),
        ("format", "The answer <|eot_id|> is 4."),
        ("format", "[REVISED]\nIt is 4."),
        ("format", "It\ufffds 4."),
        ("format", "I'm sorry, but as an AI language model, I cannot provide that."),
        ("format", "I am unable to help with that request."),
        ("token_length", "word " * 3000),
        ("repetition", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("repetition", "the cat sat down " * 40),
        ("repetition", "\n".join(["This same line again and again."] * 12)),
        ("licence_text", "Copyright (c) 2021 Somebody. " + PROSE),
        ("licence_text", PROSE + " All rights reserved."),
        ("licence_text", "Permission is hereby granted, free of charge, to any person obtaining a copy"),
        ("personal_data", "Write to anna.lind@firma-lind.se today."),
        ("personal_data", "Call +46 70 174 06 35 tomorrow."),
        ("personal_data", "Call (212) 736-5000 tomorrow."),
        ("personal_data", "Card 4539 1488 0343 6467, please."),
        ("personal_data", "Pay to SE45 5000 0000 0583 9825 7466 now."),
        ("personal_data", "Her number is 219-09-9999."),
        ("personal_data", "Log in at 93.184.216.34 with it."),
        ("personal_data", "The key is sk-" + "a1B2c3D4" * 5),
        ("personal_data", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"),
        ("offensive", "What the fuck is this?"),
        (
            "english",
            "Das Wetter in den Bergen bleibt kalt und klar, und ab Donnerstag dreht der Wind und bringt Schnee in die "
            "Täler.",
        ),
        ("english", "山里的天气一直很冷，星期四之后风会转向，把雪带到更高的山谷里去，请大家注意保暖和行车安全。"),
    ],
)
def test_each_filter_rejects_its_own_kind_and_can_be_switched_off(filters: Filters, name: str, response: str) -> None:
    assert reason(filters, response) == name
    off = filters.model_copy(update={name: getattr(filters, name).model_copy(update={"enabled": False})})
    assert reason(off, response) != name


@pytest.mark.parametrize(
    ("filter", "field", "value", "response"),
    [
        ("format", "refusals", False, "I am unable to help with that request."),
        ("token_length", "shortest_prompt", 20, PROSE),
        ("token_length", "shortest_response", 30, PROSE),
        ("token_length", "longest", 25, PROSE),
        ("repetition", "words", 10, "again and again we " * 9),
        (
            "repetition",
            "line_share",
            0.99,
            "\n".join(["This same line again and again and on, a long line with many a word."] * 4 + [PROSE]),
        ),
        ("repetition", "four_gram_share", 1.0, "the cat sat down " * 40),
        ("repetition", "run", 100, "a" * 60),
        ("offensive", "profanity", 2, "What the fuck is this?"),
        (
            "english",
            "letters",
            400,
            "Das Wetter in den Bergen bleibt kalt und klar, und ab Donnerstag dreht der Wind und bringt Schnee in die "
            "Täler.",
        ),
        (
            "english",
            "probability",
            0.999999,
            "Où sont les clefs de la voiture rouge, mon ami, dis-moi donc vite le lieu",
        ),
        ("personal_data", "mail", False, "Write to anna.lind@firma-lind.se today."),
        ("personal_data", "phone", False, "Call (212) 736-5000 tomorrow."),
        ("personal_data", "card", False, "Card 4539 1488 0343 6467, please."),
        ("personal_data", "iban", False, "Pay to SE45 5000 0000 0583 9825 7466 now."),
        ("personal_data", "social_security", False, "Her number is 219-09-9999."),
        ("personal_data", "ip", False, "Log in at 93.184.216.34 with it."),
        ("personal_data", "key", False, "The key is sk-" + "a1B2c3D4" * 5),
    ],
)
def test_every_field_of_a_filter_changes_what_it_says(
    filters: Filters, filter: str, field: str, value: object, response: str
) -> None:
    other = getattr(filters, filter).model_copy(update={field: value})
    assert field in type(other).model_fields
    text = Text(ASKED, response, "", (12, 0, len(response.split())))
    assert TABLE[filter](text, getattr(filters, filter)) != TABLE[filter](text, other)


def test_the_table_and_the_settings_name_the_same_filters() -> None:
    assert set(TABLE) == set(Filters.model_fields) - {"workers"}


@given(st.text("0123456789", min_size=12, max_size=18), st.integers(0, 17), st.integers(1, 9))
def test_luhn_takes_the_right_check_digit_and_notices_one_wrong_digit(body: str, place: int, off: int) -> None:
    checked = [digit for digit in "0123456789" if accounts.luhn(body + digit)]
    assert len(checked) == 1
    number = body + checked[0]
    place %= len(number)
    wrong = number[:place] + str((int(number[place]) + off) % 10) + number[place + 1 :]
    assert not accounts.luhn(wrong)


@given(
    st.sampled_from(["DE", "SE", "GB", "FR", "NL"]),
    st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=11, max_size=30),
)
def test_mod_97_takes_exactly_the_check_digits_of_the_standard(country: str, account: str) -> None:
    plain = "".join(str(int(char, 36)) for char in account + country + "00")
    check = f"{98 - int(plain) % 97:02d}"
    assert accounts.mod_97(country + check + account)
    assert not accounts.mod_97(country + f"{(int(check) + 1) % 97:02d}" + account)


@pytest.mark.parametrize(
    "text",
    [
        "Write to info@example.com.", "Write to john.doe@gmail.com or user123@gmail.com.",
        "Call (123) 456-7890 or 234-567-8901.", "Dial 1-800-362-0101.", "(000) 000-0000",
        "The host is 192.168.0.1 or 127.0.0.1.", "Version 2.10.3.4 of 10.0.0.0",
        "Card 4111 1111 1111 1111 is a test number.",
        "Compute 123-45-6789.", "1234567890123456789012", "The product is 12 345 678 x 9.", "pi = 3.141592653589793",
        "2023-11-21 09:56:06",
        "5555-5555-5555-5555",
        "ISBN 978-3-16-148410-0", "f(x) = 1000000007 mod 998244353", "call 555-0123 for fun", "sk-learn is a library",
        "DE00 0000 0000 0000 0000 00",
    ],
)  # fmt: skip
def test_nobodys_numbers_pass(text: str) -> None:
    settings = Data.model_validate(section("llama-8b", "data")).filters.personal_data
    assert personal.personal_data(Text("Say it.", text), settings) is None


def test_what_is_personal_never_reaches_the_list_of_rejects(filters: Filters) -> None:
    made = filter_examples.fn(
        [
            examples_artifact(
                example(prompt="Mail anna.lind@firma-lind.se about the meeting", response="Done, she will be there.")
            )
        ],
        filters,
        "words",
    )
    rejects = (store.open(made) / rows.REJECTS).read_text()
    assert json.loads(rejects)["reason"] == "personal_data"
    assert "lind" not in rejects


def test_reclaimed_and_harmless_senses_are_no_slurs(filters: Filters) -> None:
    for text in (
        "The raccoon, or coon, lives in the forest near the river.",
        "A dyke keeps the sea out of the low land behind it.",
        "Sunlight came in through a chink in the wall.",
    ):
        assert reason(filters, text) is None
    assert reason(filters, "Those dirty coons should leave our town at once.") == "offensive"


def test_lists_of_names_and_code_without_a_fence_are_not_foreign(filters: Filters) -> None:
    for text in (
        "The elements are Hydrogen, Helium, Lithium, Beryllium, Boron, Carbon, Nitrogen, Oxygen, Fluorine, Neon, "
        "Sodium and Magnesium.",
        "function NaturalNumberSum(n) {\n  let sum = 0;\n  for (let i = 1; i <= n; i++) {\n    sum += i;\n  }\n  "
        "return sum;\n}",
        "Escherichia coli, Salmonella, Staphylococcus, Chlamydia and Streptococcus are bacteria that make people ill.",
    ):
        assert reason(filters, text) is None


def test_talking_about_licences_is_no_licence_text(filters: Filters) -> None:
    for text in (
        "Copyright protects a work from the moment it is written down.",
        "The MIT licence lets you use the code freely.",
        "He was born in 1971 (see the licence of 2001).",
    ):
        assert reason(filters, text) is None


def test_measures_of_repetition() -> None:
    assert longest_run("ab" + "x" * 30) == 30
    assert longest_run("-" * 80) == 0
    assert repeated_line_share("one line\nanother line\none line") == pytest.approx(8 / 28)
    assert top_gram_share(["a", "b", "c", "d", "a", "b", "c", "d", "a", "b", "c", "d"], 4) == pytest.approx(1.0)
    assert top_gram_share(["a", "b", "c", "d", "e", "f", "g"], 4) == 0.0


def test_short_text_is_never_called_foreign() -> None:
    for text in (
        "sort: cat dog",
        "hat hat cup",
        "Lima",
        "def f(x): return x * 20",
        "$\\alpha + \\beta = \\gamma$",
        "```\nfür alle Fälle und überhaupt\n```",
    ):
        assert language(text, 40) is None


def test_the_identifier_on_real_texts(corpus: Callable[[str], Path], filters: Filters) -> None:
    from tasks.data.plain.files import objects

    rng = random.Random(0)
    english = rng.sample([row["output"] for _, row, _ in objects(corpus("alpaca/alpaca_data.jsonl.zst"))], 2000)
    french = [
        message["content"]
        for _, row, _ in objects(corpus("multilingual/oasst_20230412_fr_top1.jsonl.zst"))
        for message in row["messages"]
    ]
    foreign = {
        name: [
            filters.english.probability <= found[1] and found[0] != "en"
            for text in texts
            if (found := language(text, filters.english.letters))
        ]
        for name, texts in (("english", english), ("french", french))
    }
    assert sum(foreign["english"]) / len(foreign["english"]) < 0.01
    assert sum(foreign["french"]) / len(foreign["french"]) > 0.95


def test_processes_say_the_same_as_one_process(filters: Filters) -> None:
    texts = [
        Text(f"Question {i}: what is {i} plus {i}?", "the cat sat down " * 40 if i % 7 == 0 else f"It is {2 * i}.")
        for i in range(6000)
    ]
    alone = judge_texts(texts, filters, "words")
    assert judge_texts(texts, filters.model_copy(update={"workers": 2}), "words") == alone
    assert rates(alone)["repetition"] == pytest.approx(1 / 7, abs=0.001)


def test_as_many_processes_judge_as_there_are_workers(filters: Filters, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads in place of processes, which take a second each to start."""
    asked: list[int] = []

    def watched(workers: int) -> ThreadPoolExecutor:
        asked.append(workers)
        return ThreadPoolExecutor(workers)

    monkeypatch.setattr(judging, "POOL_FROM", 2)
    monkeypatch.setattr(judging, "pool", watched)
    monkeypatch.setattr(judging, "at_most", lambda wanted: wanted)  # this machine may have a single one
    texts = [Text(f"Question {i}?", f"It is {2 * i}.") for i in range(4)]
    for workers in (1, 2, 3):
        judge_texts(texts, filters.model_copy(update={"workers": workers}), "words")
    assert asked == [2, 3], "one is this process"


def test_the_step_keeps_rejects_with_their_reason(filters: Filters) -> None:
    good, bad = example("good", response="It is 4."), example("bad", response="Copyright (c) 2020 by Nobody.")
    made = filter_examples.fn([examples_artifact(good), examples_artifact(bad)], filters, "words")
    assert rows.examples(made) == [good]
    assert [
        (reject.id, reject.stage, reject.reason) for reject in rows.read(store.open(made) / rows.REJECTS, rows.Reject)
    ] == [("bad", "filter", "licence_text")]
    assert made.metrics["rejected_licence_text"] == 1


def test_draft_and_thinking_are_looked_at_too(filters: Filters) -> None:
    hard = example(response="It is 4.").model_copy(update={"draft": "What the fuck, 3?", "thinking": "2 and 2 make 4."})
    text = as_text(hard)
    assert objection(Text(text.prompt, text.response, text.working, (6, 9, 3)), filters) == (
        "offensive",
        "1 profane words",
    )


def test_a_real_tokenizer_counts(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "cat": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert counter(str(tmp_path))(["cat, cat.", ""]) == [4, 0]
    assert counter("words")(["cat, cat.", ""]) == [2, 0]
    with pytest.raises(BadInput, match=r"cannot load '/nowhere"):
        counter("/nowhere/at/all")


def test_local_files_are_named_in_order(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).write_text("")
    assert [path.name for path in local_files([str(tmp_path / "*.jsonl")])] == ["a.jsonl", "b.jsonl"]


def test_the_processes_die_with_the_one_that_started_them() -> None:
    lines = ["import os, time", "from tasks.data.plain.processes import pool", "if __name__ == '__main__':"]
    lines += ["    p = pool(1)", "    print(p.submit(os.getpid).result(), flush=True)", "    time.sleep(60)"]
    code = "\n".join(lines)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert environment(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while environment(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not environment(child)


@pytest.mark.parametrize("kind", sorted(set(PLANTED) - {"licence_text"}))
def test_what_is_somebodys_is_found_in_any_writing(kind: str) -> None:
    find = personal.KINDS[kind]
    assert [hit for hit in PLANTED[kind] if not find(f"He said so: {hit} and left.")] == []


def test_notices_are_found_in_any_writing(filters: Filters) -> None:
    assert [
        hit for hit in PLANTED["licence_text"] if licence_text(Text(ASKED, hit), filters.licence_text) is None
    ] == []


@pytest.mark.parametrize("kind", personal.KINDS)
def test_tables_lists_and_calculations_are_nobodys(kind: str) -> None:
    """At most one in a thousand; twenty kinds of them."""
    draw = random.Random(7)
    rows_ = [numbers(draw) for _ in range(3000)]
    assert [row for row in rows_ if personal.KINDS[kind](f"What stands here?\n{row}")][3:] == []


@pytest.mark.parametrize(
    "text",
    [
        "scores = q@k.transpose(-2, -1)", "y = x@w.mean", "z = A@B.inv() + C", "git clone git@github.com:some/repo.git",
        "scp notes.txt anna@box.net:~/notes",
        "postgres://admin:secret@db.internal.net/main", "What is 850-75-1250?", "850-75-1250=-475",
        "Calculate 850-75-1250.\n-475", "412-231-2000 = ?",
        "class sk-fading-circle-container-wrapper-large", "AKIAIOSFODNN7EXAMPLE",
        "hf_your_token_goes_here_and_nothing_else", "Use sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        "The file begins with -----BEGIN PRIVATE KEY----- and then the key.", "Version 52.1.12.3 of it",
        "Mozilla/5.0 Chrome/91.0.4472.124", "the network 172.217.0.0/16",
        "4539 1488 0343 6467 1234 5678 9012 3456 7890 2345",
    ],
)  # fmt: skip
def test_code_calculations_and_documented_samples_are_nobodys(text: str) -> None:
    settings = Data.model_validate(section("llama-8b", "data")).filters.personal_data
    assert personal.personal_data(Text("Say it.", text), settings) is None


@pytest.mark.parametrize(
    "text",
    [
        "Which year is a leap year? (a) 1900 (b) 1998 (c) 2000 (d) 2001",
        "Sum them: (A) 1990 (B) 2000 (C) 2010 (D) 2020", "(a) Open it. (b) Wait. (c) 2000 litres flow out.",
        "What does the phrase 'All rights reserved' on a book mean?", "What does `f(c) 1999` print?",
        "It says 'Licensed under the Apache License, Version 2.0'.",
        "Search for the text SPDX-License-Identifier: in its first lines.",
        "It begins with 'the software is provided \"as is\"'.", "Find the area if (c) 20.5 is the height.",
        "Point (c) 2019 Was a good year.\nPoint (d) too.",
    ],
)  # fmt: skip
def test_choices_list_items_and_quotations_are_no_notices(filters: Filters, text: str) -> None:
    assert licence_text(Text(ASKED, text), filters.licence_text) is None


def test_a_header_in_a_docstring_is_a_notice(filters: Filters) -> None:
    assert licence_text(
        Text(ASKED, '"""Copyright (c) 2019 Some Holder. All rights reserved."""\nx = 1'), filters.licence_text
    )
