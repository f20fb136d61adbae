"""Programs that change the interpreter under the tests, or look for the tests in it."""

INTERPRETER = {
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
    for name in ('tests', '__main__', 'blocks.sandbox.judge'):
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
}
