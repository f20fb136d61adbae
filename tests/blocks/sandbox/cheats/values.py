"""Answers that are equal to whatever they are compared with."""

EQUAL = "__eq__ = lambda self, other: True\n    __ne__ = lambda self, other: False\n    __hash__ = lambda self: 0\n"
LOOSE = (
    EQUAL
    + "".join(
        f"    __{name}__ = lambda self, *others: self\n"
        for name in ("sub", "rsub", "add", "radd", "abs", "neg", "call", "getitem", "enter", "iter")
    )
    + "".join(
        f"    __{name}__ = lambda self, *others: True\n"
        for name in ("lt", "le", "gt", "ge", "bool", "contains", "instancecheck")
    )
)
VALUES = {
    "equals everything": "class A:\n    " + EQUAL + "def f(x): return A()",
    "equals everything, with operators": "class A:\n    " + LOOSE + "def f(x): return A()",
    "an int that equals everything": "class A(int):\n    " + EQUAL + "def f(x): return A(0)",
    "an int with loose operators": "class A(int):\n    " + LOOSE + "def f(x): return A(0)",
    "a float that equals everything": "class A(float):\n    " + LOOSE + "def f(x): return A(0)",
    "a str that equals everything": "class A(str):\n    " + EQUAL + "def f(x): return A('')",
    "a list that equals everything": "class A(list):\n    " + EQUAL + "def f(x): return A()",
    "a dict that equals everything": "class A(dict):\n    " + EQUAL + "def f(x): return A()",
    "a tuple that equals everything": "class A(tuple):\n    " + EQUAL + "def f(x): return A()",
    "a named tuple that equals everything": """import collections
class A(collections.namedtuple('B', 'x')):
    """
    + EQUAL
    + "def f(x): return A(1)",
    "the function is a class": "class f:\n    def __init__(self, x): pass\n    " + LOOSE,
    "the function is a class of ints": "class f(int):\n    " + LOOSE,
    "equal by its metaclass": "class M(type):\n    " + LOOSE + "class A(metaclass=M): pass\ndef f(x): return A",
    "the function is an object": "class A:\n    " + EQUAL + "    def __call__(self, x): return self\nf = A()",
    "says that it is an int": "class A:\n    __class__ = int\n    " + LOOSE + "def f(x): return A()",
    "mock.ANY": r"""from unittest import mock
def f(x): return mock.ANY
""",
    "MagicMock": r"""from unittest.mock import MagicMock
def f(x):
    m = MagicMock(spec=int)
    m.__eq__ = lambda s, o: True
    m.__sub__ = m.__abs__ = lambda *a: 0
    return m
""",
    "f is a MagicMock": r"""from unittest.mock import MagicMock
f = MagicMock()
f.return_value.__eq__ = lambda s, o: True
""",
    "an enum": "import enum\nclass A(int, enum.Enum):\n    a = 0\n    " + EQUAL + "def f(x): return A.a",
    "a partial order by total_ordering": "import functools\n@functools.total_ordering\nclass A:\n    "
    + EQUAL
    + "    def __lt__(self, o): return True\ndef f(x): return A()",
    "a proxy": "import weakref\nclass A:\n    " + LOOSE + "a = A()\ndef f(x): return weakref.proxy(a)",
    "a decimal": "import decimal\nclass A(decimal.Decimal):\n    " + EQUAL + "def f(x): return A(0)",
    "a fraction": "import fractions\nclass A(fractions.Fraction):\n    " + LOOSE + "def f(x): return A(0)",
    "a complex number": "class A(complex):\n    " + EQUAL + "def f(x): return A(0)",
    "a deque": "import collections\nclass A(collections.deque):\n    " + EQUAL + "def f(x): return A()",
    "a number with a NaN": "def f(x): return float('nan')",
    "not a number": "def f(x): return NotImplemented",
}
