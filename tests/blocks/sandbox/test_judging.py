"""Tests and programs in processes of their own: what crosses, what a right program may be like, and what tests may
do."""

import pytest

from blocks.sandbox import sandbox

MEMORY = 512 * 1024 * 1024


def outcomes(cases: dict[str, tuple[str, str]]) -> dict[str, str]:
    """What went wrong, by case; empty where it passed."""
    found = sandbox.run_all(
        [p for p, _ in cases.values()], [t for _, t in cases.values()], seconds=10.0, memory_bytes=MEMORY
    )
    return {name: outcome.reason for name, outcome in zip(cases, found, strict=True)}


SUM = "def f(a, b): return a + b"
RIGHT: dict[str, tuple[str, str]] = {
    "generator": ("def f(n):\n    for i in range(n): yield i", "assert list(f(3)) == [0, 1, 2]\nassert sum(f(4)) == 6"),
    "endless generator": ("def f():\n    n = 0\n    while True:\n        yield n\n        n += "
                          "1", "g = f()\nassert [next(g), next(g)] == [0, 1]"),
    "map, zip, filter": ("def f(a): return map(str, a)\ndef g(a): return zip(a, a)",
    "assert list(f([1])) == ['1']\nassert list(g([1])) == [(1, 1)]"),
    "views of a dict": ("def f(d): return d.keys(), d.values(), d.items()",
    "k, v, i = f({1: 2})\nassert k == {1} and list(v) == [2] and set(i) == {(1, 2)}"),
    "a class": (
        "class Stack:\n    def __init__(self): self.items = []\n    def push(self, x):\n        self.items.append(x)\n "
        "       return self\n"
        "    def __len__(self): return len(self.items)\n    def pop(self): return self.items.pop()",
        "s = Stack()\ns.push(1).push(2)\nassert len(s) == 2 and s.pop() == 2 and s.items == [1]\n"
        "try:\n    Stack().pop()\n    assert False\nexcept IndexError as error:\n    assert 'empty' in str(error)",
    ),
    "nodes": (
        "class Node:\n    def __init__(self, v): self.v = v; self.left = self.right = None\ndef depth(n): return 0 if "
        "n is None else 1 + max(depth(n.left), depth(n.right))",
        "root = Node(1)\nroot.left = Node(2)\nroot.left.right = Node(3)\nassert depth(root) == 3 and root.left.v == "
        "2\nassert isinstance(root, Node) and root.left is root.left",
    ),
    "operators of a class": (
        "class V:\n    def __init__(s, x, y): s.x, s.y = x, y\n    def __add__(s, o): return V(s.x + o.x, s.y + o.y)\n "
        "   def __mul__(s, k): return V(s.x * k, s.y * k)\n"
        "    def __eq__(s, o): return isinstance(o, V) and (s.x, s.y) == (o.x, o.y)\n    def __lt__(s, o): return s.x "
        "< o.x\n    def __repr__(s): return f'V({s.x}, {s.y})'\n"
        "    def __getitem__(s, i): return (s.x, s.y)[i]\n    def __iter__(s): return iter((s.x, s.y))",
        "assert V(1, 2) + V(3, 4) == V(4, 6)\nassert V(1, 2) * 2 == V(2, 4) and V(1, 2) != V(2, 1)\nassert V(1, 2) < "
        "V(2, 0)\nassert repr(V(1, 2)) == 'V(1, 2)'\n"
        "assert V(5, 6)[1] == 6 and list(V(1, 2)) == [1, 2] and tuple(V(1, 2)) == (1, 2)",
    ),
    "a class of a list": ("class Bag(list):\n    def total(self): return sum(self)", "b = Bag([1, 2])\nb.append(3)\n"
    "assert b.total() == 6 and b == [1, 2, 3] and not b != [1, 2, 3]"),
    "a dataclass": ("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: int = 0\n"
    "def f(p): return p.x + p.y", "assert f(P(1, y=2)) == 3 and P(1) == P(1)\nassert P(1).y == 0"),
    "a context": ("class C:\n    def __enter__(self): return self\n    def __exit__(self, *e): self.done = "
                  "True\n", "c = C()\nwith c as d: pass\nassert c.done is True"),
    "exceptions": (
        "class Bad(ValueError):\n    def __init__(self, code): super().__init__(f'bad {code}'); self.code = "
        "code\nclass Worse(Bad): pass\n"
        "def f(x):\n    if x < 0: raise Worse(x)\n    if x == 0: raise KeyError('zero')\n    return x",
        "for kind in (ValueError, Bad, Worse):\n    try:\n        f(-1)\n        assert False\n    except kind as "
        "error:\n        assert 'bad' in str(error)\n"
        "try:\n    f(0)\n    assert False\nexcept KeyError as error:\n    assert error.args == ('zero',)",
    ),
    "functions returned": ("def f(n): return lambda x: x + n",
    "assert f(2)(3) == 5\ng = f(1)\nassert callable(g) and g(1) == 2"),
    "functions handed over": ("def f(g, a): return [g(x) for x in a]",
    "assert f(lambda x: x * 2, [1, 2]) == [2, 4]\nassert f(str, [1]) == ['1']\n"
    "import math\nassert f(math.sqrt, [4.0]) == [2.0]"),
    "a key handed over": ("def f(a, key): return sorted(a, key=key)",
    "assert f([3, -4, 1], key=abs) == [1, 3, -4]\nassert f(['bb', 'a'], lambda s: len(s)) == ['a', 'bb']"),
    "errors in functions handed over": ("def f(g):\n    try: g()\n    except ZeroDivisionError: return "
                                        "'caught'", "assert f(lambda: 1 / 0) == 'caught'"),
    "a generator handed over": ("def f(a): return sum(a)", "assert f(x for x in range(4)) == 6\nassert f(iter([1, 2])) "
                                                           "== 3"),
    "objects of the tests' class": (
        "def f(node):\n    n = 0\n    while node:\n        n += node.val\n        node = node.next\n    return n\ndef "
        "g(n): return ListNode(n)",
        "class ListNode:\n    def __init__(self, val, next=None):\n        self.val = val\n        self.next = next\n  "
        "  def doubled(self): return self.val * 2\n"
        "assert f(ListNode(1, ListNode(2))) == 3\nassert g(5).val == 5",
    ),
    "arguments changed in place": ("def f(a):\n    a.sort()\n    a.append(0)",
    "a = [3, 1]\nf(a)\nassert a == [1, 3, 0]\nb = [2]\nassert f(b) is None and b == [2, 0]"),
    "a dict changed in place": ("def f(d): d['x'] = 1\ndef g(s): s.add(1)",
    "d = {}\nf(d)\ns = set()\ng(s)\nassert d == {'x': 1} and s == {1}"),
    "rows changed in place": ("def f(m):\n    for r in m: r.reverse()\n    return m",
    "m = [[1, 2], [3, 4]]\nf(m)\nassert m == [[2, 1], [4, 3]]"),
    "state": ("n = 0\ndef f():\n    global n\n    n += 1\n    return n",
    "assert [f(), f(), f()] == [1, 2, 3]\nassert n == 3"),
    "a decorator and recursion": ("import functools\n@functools.lru_cache(None)\ndef f(n): return n if n < 2 else f(n "
                                  "- 1) + f(n - 2)", "assert f(80) == 23416728348467685"),
    "prints and input": ("print('hello')\nclass A: pass\nif __name__ == '__main__':\n    input()\n    raise "
                         "SystemExit\ndef f(x):\n    print(x)\n    return x", "assert f(1) == 1"),
    "star and names": ("def f(*a, k=1, **n): return sum(a) * k + n.get('z', 0)",
    "assert f(1, 2, k=3, z=4) == 13\nassert f(*[1], **{'k': 2}) == 2"),
    "a function named as a builtin": ("def sum(a, b): return a + b", "assert sum(10, 15) == 25\nassert sum(1, 2) == 3"),
    "a builtin's name around another": ("def max(a): return sorted(a)[-1]", "assert abs(max([1, -5, 3])) == 3"),
    "check with a builtin's name": ("def len(a): return 7", "def check(candidate):\n    assert candidate([1]) == "
                                                            "7\ncheck(len)"),
    "own helpers named as builtins": ("def abs(x): return x if x > 0 else -x\ndef f(x): return "
                                      "abs(x)", "assert f(-2) == 2 and abs(-3) == 3"),
    "a module of the program": ("import sys\ndef f(t): return sys.getsizeof(t)",
    "assert f((1, 2)) == sys.getsizeof((1, 2))"),
    "a builtin's name and its use": ("def sorted(a): return a\ndef f(a): return sorted(a)",
    "assert f([2, 1]) == [2, 1]\nassert sorted([2, 1]) == [1, 2]"),
    "tests for when they are run": (SUM, "if __name__ == '__main__':\n    assert f(1, 2) == 3"),
    "names in strings": (SUM, "assert eval('f(1, 2)') == 3\nexec('assert f(1, 1) == 2')"),
    "unusual names": ("fönf = lambda x: x\nclass A:\n    def f(self): return 1\nf = A().f",
    "assert fönf('ü') == 'ü' and f() == 1"),
    "an object that is called": ("class A:\n    def __call__(self, x): return x + 1\nf = A()", "assert f(1) == 2"),
    "static and class methods": ("class A:\n    n = 5\n    @staticmethod\n    def f(x): return x\n    @classmethod\n"
    "    def g(cls): return cls.n", "assert A.f(1) == 1 and A.g() == 5 and A.n == 5"),
    "a match": ("import re\ndef f(s): return re.match(r'(a+)b', s)",
    "assert f('aab') and not f('b')\nassert f('aab').group(1) == 'aa'"),
    "a named tuple": ("from collections import namedtuple\nP = namedtuple('P', 'x y')\n"
    "def f(): return P(1, 2)", "assert f() == (1, 2) and f().y == 2 and f()._fields == ('x', 'y')"),
    "an enum": ("import enum\nclass C(enum.IntEnum):\n    A = 1\ndef f(): return C.A",
    "assert f() == 1 and C.A.value == 1"),
    "copies": ("def f(a):\n    a.append(1)\n    return a", "import copy\na = [0]\nassert f(copy.deepcopy(a)) == [0, "
                                                           "1]\nassert a == [0]"),
    "text of an object": ("class A:\n    def __str__(self): return 'x'\ndef f(): return "
                          "A()", "assert str(f()) == 'x' and f'{f()}' == 'x'"),
    "assertions of unittest": (SUM, "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        "
                                    "self.assertEqual(f(1, 2), 3)\n"
    "r = T('test').run()\nassert r.wasSuccessful()"),
    "long text and numbers": ("def f(n): return 'x' * n, 10 ** n, -(10 ** n)",
    "s, a, b = f(5000)\nassert len(s) == 5000 and a == 10 ** 5000 and b == -a"),
    "deep lists": ("def f(n): return [] if n == 0 else [f(n - 1)]",
    "def depth(a): return 1 + depth(a[0]) if a else 0\nassert depth(f(150)) == 150"),
    "numpy in the tests": ("def f(x): return [x / 3, x]", "import numpy as np\nassert np.allclose(f(1.0), [1 / 3, "
                                                          "1])\nassert not isinstance(f(1), np.ndarray)"),
}  # fmt: skip


def test_right_programs_pass_whatever_their_style() -> None:
    assert {name: reason for name, reason in outcomes(RIGHT).items() if reason} == {}


VALUES = """[None, True, False, 0, 1, -1, 2**62, -2**62, 2**64, 10**30, 0.0, -0.0, 0.1, 1e308, 5e-324, float('inf'), \
-float('inf'), '', 'ü\\ud800\\x00', b'\\xff', bytearray(b'a'),
 (), (1,), [], [[]], {}, {1: 'a', 'b': (2, [3])}, {(1, 2): {3}}, set(), {1, 'a'}, frozenset({1}), 1 + 2j, range(1, 9, \
3), slice(1, None), ..., int, ValueError,
 Decimal('1.50'), Fraction(1, 3), date(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5, 6), time(1, 2), timedelta(1, 2, 3), \
deque([1], 3), Counter('aab'), OrderedDict(a=1),
 defaultdict(list, a=[1]), array('i', [1, 2])]"""
IMPORTS = (
    "from array import array\nfrom collections import *\nfrom datetime import date, datetime, time, "
    "timedelta\nfrom decimal import Decimal\nfrom fractions import Fraction\n"
)


def test_values_cross_both_ways_with_their_exact_types() -> None:
    tests = f"""{IMPORTS}
def same(a, b):
    assert type(a) is type(b) and repr(a) == repr(b) or type(a) in (set, frozenset, dict), (a, b)
    return a == b
for value in {VALUES}:
    assert same(f(value), value), value
    assert named(value), value
for mine, its in zip({VALUES}, values()):
    assert same(mine, its)
"""
    program = f"{IMPORTS}\ndef f(x): return x\ndef values(): return {VALUES}\n"
    program += "def named(x): return any(type(x) is type(v) and repr(x) == repr(v) for v in values()) or type(x) is set"
    assert outcomes({"values": (program, tests)}) == {"values": ""}


WRONG: dict[str, tuple[str, str]] = {
    "an argument changed beside a result": ("def f(a):\n    a.clear()\n    return a",
    "a = [2, 1]\nassert f(a) == sorted(a)"),
    "True is not told from 1 by type": ("def f(): return 1", "assert f() is True"),
    "an int for a float": ("def f(): return 1", "assert isinstance(f(), float)"),
    "a list for a tuple": ("def f(): return [1]", "assert f() == (1,)"),
    "an error where none is wanted": ("def f(): raise AssertionError", "try:\n    f()\nexcept ValueError:\n    pass"),
    "the wrong error": ("def f(): raise TypeError('x')", "try:\n    f()\n    assert False\nexcept ValueError:\n    "
                                                         "pass"),
    "no error": ("def f(): return 1", "try:\n    f()\n    assert False\nexcept ValueError:\n    pass"),
    "leaves where tests catch everything": ("import os\ndef f(): os._exit(0)",
    "try:\n    f()\nexcept BaseException:\n    pass"),
    "the tests leave": (SUM, "import sys\nsys.exit(0)"),
    "the tests never end": (SUM, "f(1, 2)\nwhile True: pass"),
    "the tests are no Python": (SUM, "assert f("),
    "tests for when they are run": ("def f(): return 1", "if __name__ == '__main__':\n    assert f() == 2"),
    "an unknown name": (SUM, "assert g(1) == 1"),
    "the program is no Python": ("def f(:", "assert f(1)"),
    "the program fails at its end": (SUM + "\n1 / 0", "assert f(1, 2) == 3"),
    "an object for a number": ("class A: pass\ndef f(): return A()", "assert f() == 1"),
    "private attributes of the tests' objects": (
        "def f(n): return n.__class__.__init__.__globals__['wanted']",
        "wanted = 5\nclass N:\n    def __init__(self): self.v = 1\nassert f(N()) == 5",
    ),
    "globals of a function handed over": ("def f(g): return g.__globals__['wanted']",
    "wanted = 5\nassert f(lambda: 1) == 5"),
    "frames of a generator handed over": ("def f(g): return "
                                          "g.gi_frame.f_globals['wanted']",
                                          "wanted = 5\nassert f(x for x in [1]) == 5"),
    "memory by numpy": (
        "class A:\n    __array_interface__ = {'data': (4096, True), 'shape': (1,), 'typestr': '<f8', 'version': 3}\n"
        "    def __array__(self, *a): return [5.0]\n    def __float__(self): return 5.0\ndef f(): return A()",
        "import numpy as np\nassert np.allclose(f(), [5.0])",
    ),
}  # fmt: skip


def test_wrong_programs_and_broken_tests_fail() -> None:
    found = sandbox.run_all(
        [p for p, _ in WRONG.values()], [t for _, t in WRONG.values()], seconds=2.0, memory_bytes=MEMORY
    )
    assert [name for name, outcome in zip(WRONG, found, strict=True) if outcome.passed] == []
    assert all(outcome.reason for outcome in found)


def test_a_reason_is_the_first_thing_that_went_wrong() -> None:
    cases = {
        "AssertionError: twice": ("def f(x): return x", "assert f(1) == 2, 'twice'"),
        "ZeroDivisionError: division by zero": ("def f(x): return 1 / 0", "f(1)"),
        "left before the end": ("import os\ndef f(x): os._exit(3)", "f(1)"),
        "killed by signal 11": ("import ctypes\ndef f(x): return ctypes.string_at(0)", "f(1)"),
        "NameError: name 'h' is not defined": ("def f(x): return x", "h(1)"),
        "SystemExit: 0": ("import sys\ndef f(x): sys.exit(0)", "f(1)"),
    }
    assert {name: name for name in cases} == outcomes(cases)


@pytest.mark.parametrize("tests", ["", "\n", "pass"])
def test_without_tests_a_program_must_come_to_its_end(tests: str) -> None:
    assert [
        sandbox.run(program, tests, seconds=5.0, memory_bytes=MEMORY).passed
        for program in ("x = 1", "", "1 / 0", "import os; os._exit(0)")
    ] == [True, True, False, False]
