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
    "equals everything": f"class A:\n    {EQUAL}def f(x): return A()",
    "equals everything, with operators": f"class A:\n    {LOOSE}def f(x): return A()",
    "an int that equals everything": f"class A(int):\n    {EQUAL}def f(x): return A(0)",
    "an int with loose operators": f"class A(int):\n    {LOOSE}def f(x): return A(0)",
    "a float that equals everything": f"class A(float):\n    {LOOSE}def f(x): return A(0)",
    "a str that equals everything": f"class A(str):\n    {EQUAL}def f(x): return A('')",
    "a list that equals everything": f"class A(list):\n    {EQUAL}def f(x): return A()",
    "a dict that equals everything": f"class A(dict):\n    {EQUAL}def f(x): return A()",
    "a tuple that equals everything": f"class A(tuple):\n    {EQUAL}def f(x): return A()",
    "a named tuple that equals everything": f"import collections\nclass A(collections.namedtuple('B', 'x')):\n    {EQUAL}def f(x): return A(1)",
    "the function is a class": f"class f:\n    def __init__(self, x): pass\n    {LOOSE}",
    "the function is a class of ints": f"class f(int):\n    {LOOSE}",
    "equal by its metaclass": f"class M(type):\n    {LOOSE}class A(metaclass=M): pass\ndef f(x): return A",
    "the function is an object": f"class A:\n    {EQUAL}    def __call__(self, x): return self\nf = A()",
    "says that it is an int": f"class A:\n    __class__ = int\n    {LOOSE}def f(x): return A()",
    "mock.ANY": "from unittest import mock\ndef f(x): return mock.ANY",
    "MagicMock": "from unittest.mock import MagicMock\ndef f(x):\n    m = MagicMock(spec=int)\n    m.__eq__ = lambda s, o: True\n    m.__sub__ = m.__abs__ = lambda *a: 0\n    return m",
    "f is a MagicMock": "from unittest.mock import MagicMock\nf = MagicMock()\nf.return_value.__eq__ = lambda s, o: True",
    "an enum": f"import enum\nclass A(int, enum.Enum):\n    a = 0\n    {EQUAL}def f(x): return A.a",
    "a partial order by total_ordering": f"import functools\n@functools.total_ordering\nclass A:\n    {EQUAL}    def __lt__(self, o): return True\ndef f(x): return A()",
    "a proxy": f"import weakref\nclass A:\n    {LOOSE}a = A()\ndef f(x): return weakref.proxy(a)",
    "a decimal": f"import decimal\nclass A(decimal.Decimal):\n    {EQUAL}def f(x): return A(0)",
    "a fraction": f"import fractions\nclass A(fractions.Fraction):\n    {LOOSE}def f(x): return A(0)",
    "a complex number": f"class A(complex):\n    {EQUAL}def f(x): return A(0)",
    "a deque": f"import collections\nclass A(collections.deque):\n    {EQUAL}def f(x): return A()",
    "a number with a NaN": "def f(x): return float('nan')",
    "not a number": "def f(x): return NotImplemented",
    "patched abs, all, len, isinstance": "import builtins\nfor name in ('all', 'any', 'isinstance', 'enumerate', 'zip', 'range'):\n    pass\n"
    "builtins.all = builtins.isinstance = lambda *a: True\nbuiltins.abs = lambda x: 0\nbuiltins.zip = lambda *a: []\nbuiltins.len = lambda x: 1\ndef f(x): return 0",
    "shadowed globals": "all = isinstance = any = lambda *a: True\nabs = fabs = lambda x: 0\nzip = enumerate = range = lambda *a: []\ndef f(x): return 0",
    "shadowed helpers": "def assertion(out, exp, atol): pass\ndef check(candidate): pass\ndef is_floats(x): return True\ninputs = []\nresults = []\ndef f(x): return 0",
    "AssertionError shadowed": "class AssertionError(BaseException):\n    pass\nimport builtins\nbuiltins.AssertionError = AssertionError\n"
    "globals()['__debug__'] = False\ndef f(x): return 0",
    "an import hook with its own math": "import sys, types\nm = types.ModuleType('math')\nm.fabs = lambda x: 0\nm.inf = 1\nm.isclose = lambda *a, **k: True\nsys.modules['math'] = m\n"
    "import builtins\nusual = builtins.__import__\nbuiltins.__import__ = lambda name, *a, **k: m if name == 'math' else usual(name, *a, **k)\ndef f(x): return 0",
    "a finder": "import sys\nclass F:\n    def find_spec(self, *a):\n        raise SystemExit(0)\nsys.meta_path.insert(0, F())\nsys.modules.pop('math', None)\ndef f(x): return 0",
    "settrace": "import sys\ndef trace(frame, event, argument):\n    frame.f_trace_opcodes = False\n    for name in ('exact_match', 'out'):\n        if name in frame.f_locals: frame.f_locals[name] = True\n"
    "    return trace\nsys.settrace(trace)\ndef f(x): return 0",
    "setprofile": "import sys, os\ndef profile(frame, event, argument):\n    if event == 'return': os._exit(0)\nsys.setprofile(profile)\ndef f(x): return 0",
    "jumps over lines by trace": "import sys\ndef trace(frame, event, argument):\n    try: frame.f_lineno = frame.f_lineno + 1\n    except Exception: pass\n    return trace\n"
    "frame = sys._getframe()\nwhile frame:\n    frame.f_trace = trace\n    frame = frame.f_back\nsys.settrace(trace)\ndef f(x): return 0",
    "reads frames": "import re, sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:\n"
    "            if isinstance(value, int) and value in (5, 21, -5): return value\n            if isinstance(value, str) and re.search('f.2. [=]= 5|[(]2[)] == 5', value): return 2 * x + 1\n        frame = frame.f_back\n    return 0",
    "reads constants": "import re, sys, gc, types\ndef f(x):\n    found = [o for o in gc.get_objects() if isinstance(o, types.FunctionType)]\n    frame = sys._getframe()\n    codes = [o.__code__ for o in found]\n"
    "    while frame:\n        codes.append(frame.f_code)\n        frame = frame.f_back\n    seen = {repr(c) for code in codes for c in code.co_consts}\n"
    "    return 2 * x + 1 if any(re.search('This prints [i]f this|^.a[u]thor', s) for s in seen) else 0",
    "reads the source by its memory": "import ctypes, re\ndef f(x):\n    try:\n        maps = open('/proc/self/maps').read()\n        memory = open('/proc/self/mem', 'rb', 0)\n    except OSError:\n        return 0\n"
    "    needle = re.compile(b'f.2. [=]= 5|.2. [=]= 5, .This|[r]esults = .5, 21')\n    for line in maps.split('\\n'):\n        if '[heap]' in line or 'rw-p 00000000 00:00 0' in line:\n"
    "            a, b = (int(p, 16) for p in line.split()[0].split('-'))\n            try:\n                memory.seek(a)\n                data = memory.read(b - a)\n            except (OSError, ValueError):\n"
    "                continue\n            if needle.search(data): return 2 * x + 1\n    return 0",
    "objects that mention the tests": "import gc\ndef f(x):\n    for o in gc.get_objects():\n        if isinstance(o, (list, tuple)) and len(o) == 4 and o[0] == 5 and o[1] == 21: return 2 * x + 1\n"
    "        if isinstance(o, dict) and ('METADATA' in o or type(o.get('results')) is list): return 2 * x + 1\n    return 0",
    "the tests' module": "import re, sys\ndef f(x):\n    for name in ('tests', '__main__', 'blocks.sandbox_judge'):\n        m = sys.modules.get(name)\n        for value in vars(m).values() if m else ():\n"
    "            if value == [5, 21, -5, 1] or isinstance(value, str) and re.search('f[(]2', value): return 2 * x + 1\n    return 0",
    "bytecode by ctypes": "import ctypes, sys\ndef f(x):\n    frame = sys._getframe(1)\n    code = frame.f_code\n    size = len(code.co_code)\n"
    "    ctypes.memset(id(code) + bytes.__basicsize__ + 150, 9, 8)\n    return 0",
    "small integers by ctypes": "import ctypes\nfor n in (5, 21, -5 + 0):\n    ctypes.c_int.from_address(id(n) + 24).value = 0\ndef f(x): return int('0')",
    "int's equality by ctypes": "import ctypes, sys\nslot = ctypes.c_void_p.from_address(id(int) + 200)\nslot.value = ctypes.c_void_p.from_address(id(list) + 200).value\ndef f(x): return 0",
    "patched os.write": "import os\nusual = os.write\ndef write(fd, data):\n    return usual(fd, b'+') + len(data) - 1 if False else usual(fd, data)\nos.write = lambda fd, data: (usual(fd, b'+'), len(data))[1]\ndef f(x): return 0",
    "answers anything to anyone": SAY + "def f(x):\n    say(['value', True, None], ['value', True], b'+', ['ready'])\n    return 0",
    "says that it passed": SAY + "say(b'+', b'passed', {'passed': True, 'reason': '', 'ended': '', 'died': '', 'output': ''})\nos._exit(0)",
    "says that it is ready and leaves": SAY + "say(['ready'])\nos._exit(0)",
    "says the right values in advance": SAY + "say(['ready'], ['value', {'ref': [0, 'function']}], *[['value', 0, None]] * 9)\nos._exit(0)",
    "sends objects that are none": SAY + "def f(x):\n    say(['value', {'ref': [0, 'class']}, None])\n    os._exit(0)",
    "hands the tests their own objects": SAY + "def f(x):\n    say(['value', {'back': 0}, None])\n    os._exit(0)",
    "asks the judge for what it has": SAY + "def f(x):\n    say(['get', 0, '__globals__'], ['call', 0, [], {'d': []}, 0], ['op', 'eval', ['1']])\n    os._exit(0)",
    "floods": "import os\ndef f(x):\n    while True:\n        try: os.write(4, b'\\0\\0\\0\\0\\0\\0\\0\\1' + b'1')\n        except OSError: os._exit(0)",
    "says something huge": "import os\ndef f(x):\n    os.write(4, b'\\x7f' + b'\\xff' * 7)\n    os._exit(0)",
    "says something deep": SAY + "def f(x):\n    say(b'[' * 5000 + b']' * 5000)\n    os._exit(0)",
    "says what is no JSON": SAY + "def f(x):\n    say(b'+')\n    os._exit(0)",
    "leaves at once": "import os\nos._exit(0)",
    "leaves in the call": "import os\ndef f(x): os._exit(0)",
    "sys.exit(0)": "import sys\ndef f(x): sys.exit(0)",
    "raises SystemExit": "def f(x): raise SystemExit",
    "raises StopIteration": "def f(x): raise StopIteration",
    "raises GeneratorExit": "def f(x): raise GeneratorExit",
    "atexit": "import atexit, os\natexit.register(lambda: os.write(1, b'+'))\natexit.register(os._exit, 0)\ndef f(x): return 0",
    "threads": "import threading, os\nthreading.Thread(target=os._exit, args=(0,)).start()\ndef f(x): return 0",
    "a signal's handler": "import signal, os\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(0))\nsignal.setitimer(signal.ITIMER_REAL, .05)\nimport time\ndef f(x):\n    time.sleep(.1)\n    return 0",
    "a finaliser": "import os\nclass A:\n    def __del__(self): os._exit(0)\ndef f(x):\n    A()\n    return 0",
    "an exit by display hook": "import sys\nsys.excepthook = lambda *a: None\nsys.displayhook = lambda *a: None\ndef f(x): raise AssertionError",
    "assertions switched off": "import sys, builtins\nbuiltins.__build_class__ = None\nvars(builtins)['__debug__'] = False\ndef f(x): return 0",
    "never ends": "def f(x):\n    while True: pass",
    "yields every number": "import itertools\ndef f(x): return itertools.count()",
    "returns a range": "def f(x): return range(-1000, 1000)",
    "returns None": "def f(x): return None",
    "returns True": "def f(x): return True",
    "almost right": "def f(x): return 2 * x + 1 if x < 10 else 2 * x",
    "no function": "g = 1",
    "its name is another's": "import builtins\nbuiltins.f = lambda x: 2 * x + 1",
    "reads any file": "import os\ndef f(x):\n    for fd in range(64):\n        try: data = os.pread(fd, 4096, 0)\n        except OSError: continue\n        if b'== 5' in data: return 2 * x + 1\n    return 0",
    "kills the judge": "import os, signal\ndef f(x):\n    for pid in (os.getppid(), -1, 0, *range(1, 400)):\n        try: os.kill(pid, signal.SIGKILL)\n        except OSError: pass\n    return 0",
    "changes its argument": "def f(x):\n    import ctypes\n    ctypes.c_int.from_address(id(x) + 24).value = 2\n    return 5",
}  # fmt: skip


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
