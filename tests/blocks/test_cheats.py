"""Programs that are not right and want to pass: each against three forms of the same tests; and right ones in odd styles."""

import pytest

from blocks import sandbox

MEMORY = 512 * 1024 * 1024
LIST = "assert f(2) == 5\nassert f(10) == 21\nassert f(-3) == -5"
FUNCTION = """
METADATA = {'author': 'x'}
def check(candidate):
    import math
    assert candidate(2) == 5, "This prints if this assert fails 1"
    assert abs(candidate(10) - 21) < 1e-6 and math.fabs(candidate(10) - 21) < 1e-6
    assert all(candidate(x) == 2 * x + 1 for x in range(5)) and len([candidate(1)]) == 1
    assert isinstance(candidate(3), int) and candidate(-3) == -5 and not candidate(0) != 1
check(f)
"""
PLUS = """
from math import inf
def is_floats(x):
    return isinstance(x, float)
def assertion(out, exp, atol):
    exact_match = out == exp
    if atol == 0 and is_floats(exp):
        atol = 1e-6
    if not exact_match and atol != 0:
        assert abs(out - exp) <= atol
    else:
        assert exact_match, f"out: {out}, exp: {exp}"
inputs = [[2], [10], [-3], [0]]
results = [5, 21, -5, 1]
for i, (inp, exp) in enumerate(zip(inputs, results)):
    assertion(f(*inp), exp, 0)
"""
FORMS = (LIST, FUNCTION, PLUS)
RIGHT = "def f(x):\n    return 2 * x + 1\n"
EQUAL = "__eq__ = lambda self, other: True\n    __ne__ = lambda self, other: False\n    __hash__ = lambda self: 0\n"
LOOSE = EQUAL + "".join(f"    __{name}__ = lambda self, *others: self\n" for name in ("sub", "rsub", "add", "radd", "abs", "neg", "call", "getitem", "enter", "iter")) + "".join(
    f"    __{name}__ = lambda self, *others: True\n" for name in ("lt", "le", "gt", "ge", "bool", "contains", "instancecheck"))  # fmt: skip
# Finds what looks like the expected values anywhere in the process, and answers by heart; and says all it can to any descriptor.
SAY = """
import os, struct, json
def say(*messages):
    for message in messages:
        body = json.dumps(message).encode() if not isinstance(message, bytes) else message
        for fd in range(0, 64):
            for data in (body, struct.pack("!Q", len(body)) + body):
                try: os.write(fd, data)
                except OSError: pass
"""
CHEATS = {
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
    "a partial order by total_ordering": "import functools\n@functools.total_ordering\nclass A:\n    " + EQUAL + "    def __lt__(self, o): return True\ndef f(x): return A()",
    "a proxy": "import weakref\nclass A:\n    " + LOOSE + "a = A()\ndef f(x): return weakref.proxy(a)",
    "a decimal": "import decimal\nclass A(decimal.Decimal):\n    " + EQUAL + "def f(x): return A(0)",
    "a fraction": "import fractions\nclass A(fractions.Fraction):\n    " + LOOSE + "def f(x): return A(0)",
    "a complex number": "class A(complex):\n    " + EQUAL + "def f(x): return A(0)",
    "a deque": "import collections\nclass A(collections.deque):\n    " + EQUAL + "def f(x): return A()",
    "a number with a NaN": "def f(x): return float('nan')",
    "not a number": "def f(x): return NotImplemented",
    "patched abs, all, len, isinstance": r"""import builtins
for name in ('all', 'any', 'isinstance', 'enumerate', 'zip', 'range'):
    pass
builtins.all = builtins.isinstance = lambda *a: True
builtins.abs = lambda x: 0
builtins.zip = lambda *a: []
builtins.len = lambda x: 1
def f(x): return 0
""",
    "shadowed globals": r"""all = isinstance = any = lambda *a: True
abs = fabs = lambda x: 0
zip = enumerate = range = lambda *a: []
def f(x): return 0
""",
    "shadowed helpers": r"""def assertion(out, exp, atol): pass
def check(candidate): pass
def is_floats(x): return True
inputs = []
results = []
def f(x): return 0
""",
    "AssertionError shadowed": r"""class AssertionError(BaseException):
    pass
import builtins
builtins.AssertionError = AssertionError
globals()['__debug__'] = False
def f(x): return 0
""",
    "an import hook with its own math": r"""import sys, types
m = types.ModuleType('math')
m.fabs = lambda x: 0
m.inf = 1
m.isclose = lambda *a, **k: True
sys.modules['math'] = m
import builtins
usual = builtins.__import__
builtins.__import__ = lambda name, *a, **k: m if name == 'math' else usual(name, *a, **k)
def f(x): return 0
""",
    "a finder": r"""import sys
class F:
    def find_spec(self, *a):
        raise SystemExit(0)
sys.meta_path.insert(0, F())
sys.modules.pop('math', None)
def f(x): return 0
""",
    "settrace": r"""import sys
def trace(frame, event, argument):
    frame.f_trace_opcodes = False
    for name in ('exact_match', 'out'):
        if name in frame.f_locals: frame.f_locals[name] = True
    return trace
sys.settrace(trace)
def f(x): return 0
""",
    "setprofile": r"""import sys, os
def profile(frame, event, argument):
    if event == 'return': os._exit(0)
sys.setprofile(profile)
def f(x): return 0
""",
    "jumps over lines by trace": r"""import sys
def trace(frame, event, argument):
    try: frame.f_lineno = frame.f_lineno + 1
    except Exception: pass
    return trace
frame = sys._getframe()
while frame:
    frame.f_trace = trace
    frame = frame.f_back
sys.settrace(trace)
def f(x): return 0
""",
    "reads frames": r"""import re, sys
def f(x):
    frame = sys._getframe()
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            if isinstance(value, int) and value in (5, 21, -5): return value
            if isinstance(value, str) and re.search('f.2. [=]= 5|[(]2[)] == 5', value): return 2 * x + 1
        frame = frame.f_back
    return 0
""",
    "reads constants": r"""import re, sys, gc, types
def f(x):
    found = [o for o in gc.get_objects() if isinstance(o, types.FunctionType)]
    frame = sys._getframe()
    codes = [o.__code__ for o in found]
    while frame:
        codes.append(frame.f_code)
        frame = frame.f_back
    seen = {repr(c) for code in codes for c in code.co_consts}
    return 2 * x + 1 if any(re.search('This prints [i]f this|^.a[u]thor', s) for s in seen) else 0
""",
    "reads the source by its memory": r"""import ctypes, re
def f(x):
    try:
        maps = open('/proc/self/maps').read()
        memory = open('/proc/self/mem', 'rb', 0)
    except OSError:
        return 0
    needle = re.compile(b'f.2. [=]= 5|.2. [=]= 5, .This|[r]esults = .5, 21')
    for line in maps.split('\n'):
        if '[heap]' in line or 'rw-p 00000000 00:00 0' in line:
            a, b = (int(p, 16) for p in line.split()[0].split('-'))
            try:
                memory.seek(a)
                data = memory.read(b - a)
            except (OSError, ValueError):
                continue
            if needle.search(data): return 2 * x + 1
    return 0
""",
    "objects that mention the tests": r"""import gc
def f(x):
    for o in gc.get_objects():
        if isinstance(o, (list, tuple)) and len(o) == 4 and o[0] == 5 and o[1] == 21: return 2 * x + 1
        if isinstance(o, dict) and ('METADATA' in o or type(o.get('results')) is list): return 2 * x + 1
    return 0
""",
    "the tests' module": r"""import re, sys
def f(x):
    for name in ('tests', '__main__', 'blocks.sandbox_judge'):
        m = sys.modules.get(name)
        for value in vars(m).values() if m else ():
            if value == [5, 21, -5, 1] or isinstance(value, str) and re.search('f[(]2', value): return 2 * x + 1
    return 0
""",
    "bytecode by ctypes": r"""import ctypes, sys
def f(x):
    frame = sys._getframe(1)
    code = frame.f_code
    size = len(code.co_code)
    ctypes.memset(id(code) + bytes.__basicsize__ + 150, 9, 8)
    return 0
""",
    "small integers by ctypes": r"""import ctypes
for n in (5, 21, -5 + 0):
    ctypes.c_int.from_address(id(n) + 24).value = 0
def f(x): return int('0')
""",
    "int's equality by ctypes": r"""import ctypes, sys
slot = ctypes.c_void_p.from_address(id(int) + 200)
slot.value = ctypes.c_void_p.from_address(id(list) + 200).value
def f(x): return 0
""",
    "patched os.write": r"""import os
usual = os.write
def write(fd, data):
    return usual(fd, b'+') + len(data) - 1 if False else usual(fd, data)
os.write = lambda fd, data: (usual(fd, b'+'), len(data))[1]
def f(x): return 0
""",
    "answers anything to anyone": SAY
    + r"""def f(x):
    say(['value', True, None], ['value', True], b'+', ['ready'])
    return 0
""",
    "says that it passed": SAY
    + r"""say(b'+', b'passed', {'passed': True, 'reason': '', 'ended': '', 'died': '', 'output': ''})
os._exit(0)
""",
    "says that it is ready and leaves": SAY
    + r"""say(['ready'])
os._exit(0)
""",
    "says the right values in advance": SAY
    + r"""say(['ready'], ['value', {'ref': [0, 'function']}], *[['value', 0, None]] * 9)
os._exit(0)
""",
    "sends objects that are none": SAY
    + r"""def f(x):
    say(['value', {'ref': [0, 'class']}, None])
    os._exit(0)
""",
    "hands the tests their own objects": SAY
    + r"""def f(x):
    say(['value', {'back': 0}, None])
    os._exit(0)
""",
    "asks the judge for what it has": SAY
    + r"""def f(x):
    say(['get', 0, '__globals__'], ['call', 0, [], {'d': []}, 0], ['op', 'eval', ['1']])
    os._exit(0)
""",
    "floods": r"""import os
def f(x):
    while True:
        try: os.write(4, b'\0\0\0\0\0\0\0\1' + b'1')
        except OSError: os._exit(0)
""",
    "says something huge": r"""import os
def f(x):
    os.write(4, b'\x7f' + b'\xff' * 7)
    os._exit(0)
""",
    "says something deep": SAY
    + r"""def f(x):
    say(b'[' * 5000 + b']' * 5000)
    os._exit(0)
""",
    "says what is no JSON": SAY
    + r"""def f(x):
    say(b'+')
    os._exit(0)
""",
    "leaves at once": r"""import os
os._exit(0)
""",
    "leaves in the call": r"""import os
def f(x): os._exit(0)
""",
    "sys.exit(0)": r"""import sys
def f(x): sys.exit(0)
""",
    "raises SystemExit": "def f(x): raise SystemExit",
    "raises StopIteration": "def f(x): raise StopIteration",
    "raises GeneratorExit": "def f(x): raise GeneratorExit",
    "atexit": r"""import atexit, os
atexit.register(lambda: os.write(1, b'+'))
atexit.register(os._exit, 0)
def f(x): return 0
""",
    "threads": r"""import threading, os
threading.Thread(target=os._exit, args=(0,)).start()
def f(x): return 0
""",
    "a signal's handler": r"""import signal, os
signal.signal(signal.SIGALRM, lambda *a: os._exit(0))
signal.setitimer(signal.ITIMER_REAL, .05)
import time
def f(x):
    time.sleep(.1)
    return 0
""",
    "a finaliser": r"""import os
class A:
    def __del__(self): os._exit(0)
def f(x):
    A()
    return 0
""",
    "an exit by display hook": r"""import sys
sys.excepthook = lambda *a: None
sys.displayhook = lambda *a: None
def f(x): raise AssertionError
""",
    "assertions switched off": r"""import sys, builtins
builtins.__build_class__ = None
vars(builtins)['__debug__'] = False
def f(x): return 0
""",
    "never ends": r"""def f(x):
    while True: pass
""",
    "yields every number": r"""import itertools
def f(x): return itertools.count()
""",
    "returns a range": "def f(x): return range(-1000, 1000)",
    "returns None": "def f(x): return None",
    "returns True": "def f(x): return True",
    "almost right": "def f(x): return 2 * x + 1 if x < 10 else 2 * x",
    "no function": "g = 1",
    "its name is another's": r"""import builtins
builtins.f = lambda x: 2 * x + 1
""",
    "reads any file": r"""import os
def f(x):
    for fd in range(64):
        try: data = os.pread(fd, 4096, 0)
        except OSError: continue
        if b'== 5' in data: return 2 * x + 1
    return 0
""",
    "kills the judge": r"""import os, signal
def f(x):
    for pid in (os.getppid(), -1, 0, *range(1, 400)):
        try: os.kill(pid, signal.SIGKILL)
        except OSError: pass
    return 0
""",
    "changes its argument": r"""def f(x):
    import ctypes
    ctypes.c_int.from_address(id(x) + 24).value = 2
    return 5
""",
}


@pytest.fixture(params=["root", "user", "weak"], scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[tuple[str, int], sandbox.Outcome]:
    """All cheats against all forms, in one batch for each confinement that this machine can give."""
    wanted: sandbox.Mode = request.param
    if reason := sandbox._refusal(wanted):
        pytest.skip(f"not available here: {reason}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "_mode", lambda _: wanted)
        forms = range(len(FORMS)) if wanted == "root" else [1]
        tried = [(name, form) for name in CHEATS for form in forms]
        found = sandbox.run_all([CHEATS[name] for name, _ in tried], [FORMS[form] for _, form in tried], seconds=1.0, memory_bytes=MEMORY)
        assert [sandbox.run(RIGHT, form, seconds=10.0, memory_bytes=MEMORY).reason for form in FORMS] == ["", "", ""]
    return dict(zip(tried, found, strict=True))


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_fail(name: str, outcomes: dict[tuple[str, int], sandbox.Outcome]) -> None:
    found = {form: outcome for (tried, form), outcome in outcomes.items() if tried == name}
    assert found
    assert [form for form, outcome in found.items() if outcome.passed] == []


def test_what_is_tried_is_python() -> None:
    for name, source in CHEATS.items():
        compile(source, name, "exec")
