"""Tests that measure how far a result is from what they expect, or that let a runner count: no object says for itself
that it is near."""

from blocks.sandbox import sandbox

NEAR = "assert abs(f(2) - 5) < 1e-6"
SAME = "assert f(2) - 5 == 0"
NOTHING = "assert not f(2) - 5"
SHARE = "assert f(2) / 5 == 1"
COUNTED = """import unittest
class T(unittest.TestCase):
    def test(self):
        self.assertAlmostEqual(f(2), 5)
assert unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(T)).wasSuccessful()
"""
MAPPED = "assert all(map(lambda case: f(case[0]) == case[1], [(2, 5), (10, 21)]))"
ZERO = """class f:
    def __init__(self, x): pass
    __sub__ = __truediv__ = lambda self, other: self
    __abs__ = lambda self: 0
    __bool__ = lambda self: False
"""
NUMBER = """class f(int):
    __new__ = lambda kind, x=0: int.__new__(kind, 0)
    __sub__ = lambda self, other: f(0)
    __truediv__ = lambda self, other: one
    __abs__ = lambda self: 0
one = type('g', (int,), {})(1)
"""
SKIPS = "import unittest\ndef f(x): raise unittest.SkipTest('x')"
STOPS = "import unittest.case\ndef f(x): raise unittest.case._ShouldStop"
ENDS = "def f(x): raise StopIteration"
VECTOR = """class V:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, other): return V(self.x + other.x, self.y + other.y)
    def __sub__(self, other): return V(self.x - other.x, self.y - other.y)
    def __mul__(self, share): return V(self.x * share, self.y * share)
    def __truediv__(self, share): return V(self.x / share, self.y / share)
    def __abs__(self): return (self.x ** 2 + self.y ** 2) ** .5
    def __bool__(self): return bool(self.x or self.y)
    def __eq__(self, other): return (self.x, self.y) == (other.x, other.y)
def some(): yield 1
"""
OF_VECTORS = """a = V(3, 4)
assert abs(a) == 5 and abs(a * 2) == 10 and a / 2 == V(1.5, 2) and (a / 2).x == 1.5 and a / 2 + a / 2 == a
assert a - V(3, 4) == V(0, 0) and not V(0, 0) and not a - V(3, 4) and abs(a - V(0, 0)) == 5
items = some()
assert next(items) == 1
try:
    next(items)
    assert False
except StopIteration:
    pass
"""
RIGHT = "def f(x): return 2 * x + 1"
CHEATS = [(program, tests) for program in (ZERO, NUMBER) for tests in (NEAR, SAME, NOTHING, SHARE, COUNTED)] + [
    (SKIPS, COUNTED),
    (STOPS, COUNTED),
    (ENDS, MAPPED),
]
GOOD = [(RIGHT, tests) for tests in (NEAR, SAME, NOTHING, SHARE, COUNTED, MAPPED)] + [(VECTOR, OF_VECTORS)]


def test_only_what_is_near_is_near() -> None:
    programs, tests = zip(*CHEATS, *GOOD, strict=True)
    outcomes = sandbox.run_all(programs, tests, seconds=10.0, memory_bytes=512 * 1024 * 1024)
    assert [outcome.passed for outcome in outcomes] == [False] * len(CHEATS) + [True] * len(GOOD), [
        outcome.reason for outcome in outcomes
    ]
