"""Programs that speak in the place of the judge or of the runner, leave early, never end, reach for others, or are
simply wrong."""

# Says all it can to any descriptor.
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
ENDINGS = {
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
