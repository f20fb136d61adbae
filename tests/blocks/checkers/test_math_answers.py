"""Numbers and mathematical answers as models, teachers and typesetters write them."""

import json
import subprocess
import sys
from fractions import Fraction

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from blocks.checkers.judge import check, unusable
from blocks.checkers.value import number
from blocks.records import Expected
from configs.errors import BadInput
from tests.places import CORPORA


def right(expected: str, answer: str) -> bool:
    return check(Expected(kind="value", value=expected), answer).correct


@given(
    st.integers(1, 99),
    st.integers(1, 99),
    st.sampled_from(["", "-", "\u2212", "\u2013", "- "]),
    st.sampled_from(["frac", "dfrac", "tfrac"]),
)
def test_the_sign_of_a_fraction_stands_before_it_or_within(top: int, bottom: int, sign: str, command: str) -> None:
    wanted = Fraction(-top if sign else top, bottom)
    within = sign.replace(" ", "")
    for written in (
        f"{sign}\\{command}{{{top}}}{{{bottom}}}",
        f"\\{command}{{{within}{top}}}{{{bottom}}}",
        f"\\{command}{{{top}}}{{{within}{bottom}}}",
        f"{sign}\\{command} {{ {top} }} {{ {bottom} }}",
    ):
        for text in (
            written,
            f"\\boxed{{{written}}}",
            f"x = {written}.",
            f"So it is ${written}$, as said.",
            f"\\boxed{{1}} or \\boxed{{ {written} }}",
            f"\\boxed{{x={written}}}",
        ):
            assert number(text) == wanted, text
    assert not right(str(-wanted), f"\\boxed{{{sign}\\{command}{{{top}}}{{{bottom}}}}}")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\\frac12", "1/2"),
        ("-\\frac12", "-1/2"),
        ("\\boxed{\\frac43}", "4/3"),
        ("\\frac 59", "5/9"),
        ("\\boxed{\\frac9{19}}", "9/19"),
        ("\\frac{-1}{-2}", "1/2"),
        ("-\\frac{-1}{2}", "1/2"),
        ("\\boxed{1\\frac{4}{5}}", "9/5"),
        ("1\\frac{4}{5}", "9/5"),
        ("\\boxed{1\\frac45}", "9/5"),
        ("137 \\frac{1}{2}", "275/2"),
        ("\\boxed{\\frac{\\frac{1}{2}}{3}}", "1/6"),
        ("\\boxed{\\sqrt{16}}", "4"),
        ("\\boxed{2^{10}}", "1024"),
        ("\\boxed{3 \\cdot 4}", "12"),
        ("\\boxed{5!}", "120"),
        ("\\boxed{\\binom{5}{2}}", "10"),
        ("\\boxed{-(-3)}", "3"),
        ("½", "1/2"),
        ("−½", "-1/2"),
        ("3½ cups", "7/2"),
        ("⅔", "2/3"),
        ("−7", "-7"),
        ("–7", "-7"),
        ("\u20117", "-7"),
        ("３７", "37"),
        ("－３", "-3"),
        ("1\u202f234", "1234"),
        ("12\u00a0345", "12345"),
        ("1\u2009234\u2009567.5", "2469135/2"),
        ("1\\,234", "1234"),
        ("3\u200b7", "37"),
        ("\u20665\u2069", "5"),
        ("it is 7.", "7"),
        ("5.", "5"),
        (".5", "1/2"),
        ("1.5e3", "1500"),
        ("1.5e-3", "3/2000"),
        ("1.5 \\times 10^3", "1500"),
        ("1.5 × 10⁻³", "3/2000"),
        ("2\\cdot10^{4}", "20000"),
        ("$1,234", "1234"),
        ("1,234 €", "1234"),
        ("€5", "5"),
        ("\\$32,\\!348", "32348"),
        ("£5.50", "11/2"),
        ("#### 1,234", "1234"),
        ("1 + 1 = 2\n#### -5", "-5"),
        ("\\boxed{90^\\circ}", "90"),
        ("\\boxed{5.4 \\text{ cents}}", "27/5"),
        ("\\boxed{15\\mbox{ cm}^2}", "15"),
        ("\\boxed{12 cm}", "12"),
        ("\\boxed{12 apples}", "12"),
        ("\\boxed{50\\%}", "50"),
        ("\\boxed{5 \\text{ or so}}", "5"),
        ("\\boxed{\\text{13}}", "13"),
        ("\\boxed {7}", "7"),
        ("\\boxed{x = 5}", "5"),
        ("\\boxed{7} as 8 is not", "7"),
        ("\\boxed{5\\text{ m}^2}", "5"),
        ("\\boxed{5 m²}", "5"),
    ],
)
def test_numbers_in_any_type(text: str, wanted: str) -> None:
    assert number(text) == Fraction(wanted)


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{3\\sqrt{2}}",
        "\\boxed{(1,2)}",
        "\\boxed{2\\pi}",
        "\\boxed{1,2}",
        "\\boxed{\\text{two}}",
        "\\boxed{2x}",
        "\\boxed{[1,2]}",
        "\\boxed{52_2}",
        "\\boxed{x+2}",
    ],
)
def test_a_marked_answer_that_is_something_else_is_not_its_last_number(text: str) -> None:
    assert number(text) is None
    assert not right("2", text)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        *[
            ("3", f"\\boxed{{{text}}}")
            for text in (
                "0.\\overline{3}",
                "x \\ge 3",
                "x>3",
                "x \\neq 3",
                "\\leq 3",
                "2 < x < 3",
                "\\text{no solution for }x=3",
                "x \\equiv 4 \\pmod 3",
                "1, \\ldots, 3",
            )
        ],
        *[
            ("2", f"\\boxed{{{text}}}")
            for text in (
                "1:2",
                "1;2",
                "\\sum_{i=1}^{n} i^2",
                "\\mathbb{Z}_2",
                "\\vec{v}_2",
                "4 \\mod 2",
                "\\text{H}_2\\text{O}",
            )
        ],
        *[
            ("2", f"The answer is {text}.")
            for text in (
                "$3\\sqrt{2}$",
                "3√2",
                "3 sqrt(2)",
                "$x^2$",
                "n²",
                "(1, 2)",
                "$(1,2)$",
                "[1, 2]",
                "1:2",
                "2n",
                "2π",
                "x = ±2",
                "$\\pm 2$",
                "1 or 2",
                "2 + x",
            )
        ],
        *[
            ("3", f"The answer is {text}.")
            for text in (
                "x/3",
                "π/3",
                "$\\frac{\\pi}{3}$",
                "\\(\\frac{\\pi}{3}\\)",
                "sin(3)",
                "log 3",
                "2 < x < 3",
                "\\frac{x}{3}",
            )
        ],
        *[
            ("x=3", "\\boxed{y=3}"),
            ("y = 2x+3", "\\boxed{x=2x+3}"),
            ("x<3", "\\boxed{x>3}"),
            ("x<3", "\\boxed{x \\le 3}"),
            ("x \\le 3", "\\boxed{x<3}"),
            ("x<3", "\\boxed{3}"),
        ],
        *[
            ("2<x<3", "\\boxed{2 \\le x<3}"),
            ("3:4", "\\boxed{4}"),
            ("2:30 PM", "\\boxed{2:30 AM}"),
            ("|x|", "\\boxed{x}"),
            ("\\sin^{-1} x", "\\boxed{1/\\sin x}"),
        ],
        *[
            ("x^{2y}", "\\boxed{x^2y}"),
            ("\\frac{1}{2}x", "\\boxed{\\frac{1}{2x}}"),
            ("\\mathbb{R}\\setminus\\{0\\}", "\\boxed{0}"),
            ("\\lim_{x\\to 0}", "\\boxed{0}"),
        ],
        *[
            ("\\textbf{(C)}\\ 12", "\\boxed{\\textbf{(D)}\\ 12}"),
            ("\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}", "\\boxed{\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}}"),
        ],
    ],
)
def test_a_number_that_is_only_part_of_an_answer_is_not_the_answer(wanted: str, text: str) -> None:
    assert not right(wanted, text)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        *[("1/2", text) for text in ("{1 \\over 2}", "1\\over 2", "\\nicefrac{1}{2}", "\\sfrac{1}{2}")],
        *[
            ("1000000", text)
            for text in (
                "10^6",
                "2\\cdot 500000",
                "1'000'000",
                "1_000_000",
                "1~000~000",
                "\\color{red}{1000000}",
                "\\bm{1000000}",
                "\\bf 1000000",
                "\\underline{1000000}",
            )
        ],
        *[
            ("1000000", text)
            for text in (
                "f(3)=1000000",
                "\\theta = 1000000",
                "AB = 1000000",
                "1000000\\ \\text{units}^2",
                "1000000\\,\\mathrm{m/s^2}",
                "999999 + 1 = 1000000",
                "1000000^\\circ\\text{C}",
            )
        ],
        *[("12", text) for text in ("12_{10}", "12 \\tag{1}", "\\textbf{(D)}\\ 12", "(D) 12")],
        *[("-\\frac{3}{4}", text) for text in ("- 0.75", "{-}0.75", "-{3 \\over 4}", "-\\left(\\frac{3}{4}\\right)")],
        *[("x \\le 3", text) for text in ("x \\leqslant 3", "x<=3", "x ≤ 3", "3 \\ge x")],
        *[("2 < x \\le 5", text) for text in ("5 \\ge x > 2", "2<x≤5")],
        *[("\\emptyset", text) for text in ("\\varnothing", "∅", "\\{\\}")],
        *[
            ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", text)
            for text in ("\\left(\\begin{array}{c}1\\\\2\\end{array}\\right)", "\\begin{pmatrix}1\\cr 2\\end{pmatrix}")
        ],
        *[
            ("3:4", "3 : 4"),
            ("\\text{no solution}", "\\mathrm{no\\ solution}"),
            ("x^2+2x", "x^2+2\\,x"),
            ("|x-1|", "|1-x|"),
            ("\\arcsin x", "\\sin^{-1} x"),
            ("\\text{Monday}", "\\emph{Monday}"),
        ],
    ],
)
def test_what_is_set_in_another_type_is_the_same(wanted: str, text: str) -> None:
    assert right(wanted, f"\\boxed{{{text}}}")
    assert right(wanted, f"The answer is ${text}$.")


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        *[
            ("42", text)
            for text in (
                "<answer>42</answer>",
                "<b>42</b>",
                "*42* apples",
                "=> 42",
                "-> 42",
                "x >= 41, so 42",
                "(42)",
                "{42}",
                "`42`",
                "| total | 42 |",
                "42<|im_end|>",
                "3 or 4? No, 42",
            )
        ],
        *[
            ("5", text)
            for text in (
                "$5/hour",
                "She earns $2 and then $3, total of $5.",
                "f(2) = 5",
                "5 a.m.",
                "5th",
                "$2 + 3 = 5$",
                "#### 5 dollars",
                "#### Step 1\n2+3\n#### Answer: 5",
            )
        ],
        *[
            ("25", text)
            for text in (
                "The area is 25 cm^2.",
                "The area is 25 cm².",
                "$25\\text{ cm}^2$",
                "25 m^3",
                "25°",
                "$25^\\circ$",
                "$$\nx = 25\n$$",
            )
        ],
    ],
)
def test_a_number_in_everyday_text_is_the_answer(wanted: str, text: str) -> None:
    assert right(wanted, text)


@pytest.mark.parametrize(
    ("expected", "others", "wrong"),
    [
        (
            "3\\sqrt{13}",
            ["3 \\sqrt {13}", "3√13", "\\sqrt{117}", "3*sqrt(13)", "\\sqrt{13} \\cdot 3"],
            ["13", "3", "\\sqrt{13}", "3\\sqrt{14}", "-3\\sqrt{13}"],
        ),
        (
            "\\frac{\\sqrt{3}}{3}",
            ["\\frac{1}{\\sqrt{3}}", "\\sqrt{3}/3", "\\dfrac{\\sqrt3}3"],
            ["\\frac{\\sqrt{3}}{2}", "3"],
        ),
        ("-\\frac{\\pi}{6}", ["-\\pi/6", "−π/6", "\\frac{-\\pi}{6}"], ["\\frac{\\pi}{6}", "6", "-\\frac{1}{6}"]),
        (
            "\\left( 3, \\frac{\\pi}{2} \\right)",
            ["(3,\\pi/2)", "(3, π/2)", "\\left(3,\\frac{\\pi}{2}\\right)"],
            ["(\\frac{\\pi}{2}, 3)", "3", "[3, \\frac{\\pi}{2}]", "(3,\\pi)"],
        ),
        ("(2,\\infty)", ["(2, ∞)", "(2,+\\infty)", "x \\in (2,\\infty)"], ["[2,\\infty)", "(-\\infty,2)", "2"]),
        ("(-\\infty, 2) \\cup (3, \\infty)", ["(3,∞) ∪ (-∞,2)"], ["(-\\infty,2)", "(-\\infty, 2] \\cup (3, \\infty)"]),
        (
            "\\{1\\pm\\sqrt{5},-2\\}",
            ["-2, 1+\\sqrt5, 1-\\sqrt5", "\\{-2, 1 \\pm \\sqrt{5}\\}"],
            ["1\\pm\\sqrt{5}", "\\{1+\\sqrt5,-2\\}"],
        ),
        (
            "1 \\pm \\sqrt{19}",
            ["1+\\sqrt{19}, 1-\\sqrt{19}", "1-\\sqrt{19} \\text{ and } 1+\\sqrt{19}", "x = 1 ± √19"],
            ["1+\\sqrt{19}", "19"],
        ),
        ("3, 5, 7", ["7,5,3", "3,5,7", "3, 5 and 7"], ["7", "3,5", "3,5,7,7", "(3,5,7)"]),
        (
            "6r^2-4r-24",
            ["-24-4r+6r^2", "2(3r^2-2r-12)", "6*r**2 - 4*r - 24", "6r²−4r−24"],
            ["6r^2-4r-25", "24", "6s^2-4s-24"],
        ),
        ("(a+5)(b+2)", ["(b+2)(a+5)", "ab+2a+5b+10"], ["(a+2)(b+5)"]),
        ("y = 2x + 3", ["y=2x+3", "2x+3", "y = 3+2x"], ["y = 2x-3", "3"]),
        ("5x - 7y + 11z + 4 = 0", ["11z-7y+5x+4=0", "-5x+7y-11z-4=0", "5x-7y+11z=-4"], ["5x - 7y + 11z - 4 = 0", "0"]),
        (
            "\\begin{pmatrix} -1/3 \\\\ 2/3 \\end{pmatrix}",
            ["\\begin{bmatrix}-\\frac13\\\\\\frac23\\end{bmatrix}"],
            ["\\begin{pmatrix} 2/3 \\\\ -1/3 \\end{pmatrix}", "\\begin{pmatrix} -1/3 & 2/3 \\end{pmatrix}"],
        ),
        (
            "\\text{Evelyn}",
            ["Evelyn", "evelyn", "\\mbox{Evelyn}", "\\textbf{Evelyn}"],
            ["Navin", "\\text{Evelyn and Navin}"],
        ),
        ("\\text{(C)}", ["C", "(C)", "\\text{C}"], ["B", "\\text{(E)}"]),
        ("C", ["\\text{(C)}", "(C)"], ["D"]),
        ("52_8", ["52_{8}"], ["52", "52_9", "25_8"]),
        ("6 - 5i", ["6-5i", "-5i+6"], ["6+5i", "5"]),
        ("1+274i", ["274i + 1"], ["274"]),
        ("\\frac{11+9a}{20}", ["(9a+11)/20", "\\frac{9a+11}{20}"], ["20", "\\frac{11+9b}{20}"]),
        ("\\cot x", ["\\cot(x)", "\\frac{\\cos x}{\\sin x}", "1/\\tan x"], ["\\tan x", "x"]),
        ("x^5 - x^4 + 1", ["1-x^4+x^5"], ["x^5 - x^4 - 1", "1"]),
        ("\\text{June 20}", ["June 20"], ["20", "June 21"]),
        ("\\overline{CD}", ["\\overline {CD}"], ["CD"]),
        ("p - q", ["-q+p"], ["q-p", "p+q"]),
        ("\\$18.90", ["18.9", "$18.90", "\\$18.90", "18.90 \\text{ dollars}"], ["18.91", "1890"]),
        ("30^\\circ", ["30", "30°", "30 degrees", "30^{\\circ}"], ["31"]),
    ],
)
def test_what_means_the_same_is_the_same_and_nothing_else(expected: str, others: list[str], wrong: list[str]) -> None:
    for other in (expected, *others):
        assert right(expected, f"First \\boxed{{0}}. The answer is $\\boxed{{{other}}}$."), other
        assert right(expected, f"We work it out.\nThe answer is ${other}$."), other
        assert right(expected, other), other
    for other in wrong:
        assert not right(expected, f"\\boxed{{{other}}}"), other
    assert unusable(Expected(kind="value", value=expected)) is None


@pytest.mark.parametrize(
    "expected",
    ["twenty-four", "three", "", "see above", "the number of apples", "N/A", "None", "x is the answer", "1/0"],
)
def test_words_are_no_value_to_expect(expected: str) -> None:
    with pytest.raises(BadInput, match="is not a number"):
        right(expected, "24")
    assert unusable(Expected(kind="value", value=expected)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9**9",
        "9^{9^{9^9}}",
        "99999999!",
        "1000000000!!",
        "\\binom{1000000}{500000}",
        "10^{10^9}",
        "(x+1)^{5000}",
        "x^{x^{x^x}}",
        "__import__('os').system('true')",
        "lambda: 1",
        "1/0",
        "0^{-1}",
        "\\tan(\\frac{\\pi}{2})^{99999}",
        "\\frac{1}{\\frac{0}{1}}",
        "\\log 0",
        "\\sqrt[0]{2}",
        "((((((((((1))))))))))^{99}^{99}^{99}",
        "1e99",
        "1e" + "9" * 50,
        "{" * 500,
        "\\frac" * 200,
        "-" * 900 + "1",
    ],
)
def test_a_bomb_is_judged_like_any_answer(text: str) -> None:
    for expected in ("3", "3\\sqrt{2}", "\\text{even}", "(1,2)"):
        assert not right(expected, f"\\boxed{{{text}}}")
        assert not right(expected, text)


def test_every_reference_of_math_500_equals_itself_and_its_own_solution_and_no_other() -> None:
    path = CORPORA / "math/math500_test.jsonl.zst"
    if not path.exists():
        pytest.skip(f"math500 is not under COGUMI_CORPORA ({CORPORA})")
    rows = [
        json.loads(line)
        for line in zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes()).decode().split("\n")
        if line
    ]
    assert len(rows) == 500
    for row in rows:
        assert right(row["answer"], f"\\boxed{{{row['answer']}}}"), row["answer"]
        assert right(row["answer"], row["solution"]), row["answer"]
    wrong = [
        (row["answer"], other["answer"])
        for row, other in zip(rows, rows[1:] + rows[:1], strict=True)
        if right(row["answer"], other["solution"])
    ]
    assert [pair for pair in wrong if pair[0] != pair[1]] == [("5", "x=5")], "which is the same"


HOSTILE = """
from blocks.checkers.judge import check, unusable
from blocks.records import Expected
expected = [("value", "3"), ("value", "3\\\\sqrt{2}"), ("value", "\\\\text{even}"), ("call", '{"tool":"a","x":1}'), \
("text", "a b")]
for piece in (" ", "9", "1,", ",111", "1 ", "1/",
              "{", "}", "(", "[", "\\\\", "\\\\frac", "\\\\frac{1}", "\\\\boxed{", "####", "$", "is ", "a", "a.", \
"a(", "a b ", "{}", '{"a"', "-",
              "\\u2212", "\\u00bd", "=", "x=", "\\u00b2",
              "\\n", "**", "answer ", "\\\\text{", "\\\\( ", "1.", "\\u200b", "\\\\,", "[ ", "`", "'"):
    for start, end in (("\\u00bd", ""), ("\\\\boxed{", "}"), ("a(x=", ")")):
        for kind, value in expected:
            check(Expected(kind=kind, value=value), start + piece * (10_000 // len(piece)) + end)
    for kind in ("value", "call", "text"):
        unusable(Expected(kind=kind, value=piece * (10_000 // len(piece))))
"""


def test_no_text_takes_long() -> None:
    """Nothing here is more than linear: beyond that these texts would take hours."""
    subprocess.run([sys.executable, "-c", HOSTILE], check=True, timeout=300)
