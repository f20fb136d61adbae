"""What shuts an interpreter in: namespaces with an empty root, no privileges, a system-call filter, and Landlock where
there are no namespaces.

Runs inside the sandbox's own interpreters; uses the standard library alone. Where there is no namespace of files,
Landlock (ABI 1 of Linux 5.13, or newer) leaves the interpreter nothing to open but Python's standard library and the
shared libraries; names, sizes and times of other files can still be asked for. Not here: when this is done
(harness.py), and the filter (seccomp.py).
"""

import ctypes
import os
import signal
import struct
import sys

NOBODY = 65534
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x20000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = (
    1,
    2,
    4,
    32,
    4096,
    8192,
    16384,
    1 << 18,
)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
# Numbers of the calls on every architecture, flags, and the rights over files that each version of the ABI knows
# (landlock(7)).
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH = 1, 1
LANDLOCK_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
LANDLOCK_READ_FILE, LANDLOCK_READ_DIR = 1 << 2, 1 << 3
libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise the C library's error for a failed call."""
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def enter_namespaces(mode: str) -> None:
    """Leave the machine's users, files, processes and network; returns in the first process of the new process
    namespace."""
    user, group = os.geteuid(), os.getegid()
    flags = (
        CLONE_NEWNS
        | CLONE_NEWUTS
        | CLONE_NEWIPC
        | CLONE_NEWPID
        | CLONE_NEWNET
        | (CLONE_NEWUSER if mode == "user" else 0)
    )
    check(libc.unshare(flags), "unshare")
    if mode == "user":
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{NOBODY} {user} 1"),
            ("gid_map", f"{NOBODY} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as stream:
                stream.write(text)
    child = os.fork()
    if child:
        os._exit(os.waitpid(child, 0)[1] != 0)
    change_root()
    if mode == "root":
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def change_root() -> None:
    """An empty, read-only root that holds nothing but Python's standard library and the shared libraries."""
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount private")
    root = "/proc"  # any folder that exists everywhere and is in nobody's way; hidden below, never changed
    check(libc.mount(b"none", root.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=755,size=1m"), "mount tmpfs")
    for path in own_folders():
        if not os.path.exists(root + path):
            os.makedirs(root + path)
            target = (root + path).encode()
            check(libc.mount(path.encode(), target, None, MS_BIND | MS_REC, None), "bind")
            kept = os.statvfs(path).f_flag & 0b1111  # flags that may not be dropped: read-only, nosuid, nodev, noexec
            check(
                libc.mount(
                    None,
                    target,
                    None,
                    MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | kept | times_kept(path),
                    None,
                ),
                "bind read-only",
            )
    os.chdir(root)
    check(libc.mount(b".", b"/", None, MS_MOVE, None), "move root")
    os.chroot(".")
    os.chdir("/")
    check(libc.mount(None, b"/", None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, None), "root read-only")


def own_folders() -> list[str]:
    """Where the interpreter finds its modules and libraries."""
    return [
        path for path in dict.fromkeys([*sys.path, "/lib", "/lib64", "/usr/lib", "/usr/lib64"]) if os.path.isdir(path)
    ]


def times_kept(path: str) -> int:
    """The access-time flags of a mount, which a remount inside a user namespace must repeat."""
    flags = os.statvfs(path).f_flag
    return (flags & 1024) | (flags & 2048) | ((1 << 21) if flags & 4096 else 0)


def drop_privileges() -> None:
    """No capability, no way to gain one, no look into this process from its children, and death with the parent."""
    header = struct.pack("=Ii", 0x20080522, 0)
    check(libc.capset(header, bytes(24)), "capset")
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    check(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "pdeathsig")


def landlock_version() -> int:
    """The version of Landlock's ABI that this kernel offers.

    Raises:
        OSError: it has no Landlock, or has it switched off.
    """
    version = int(libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_CREATE_RULESET_VERSION))
    check(min(version, 0), "no Landlock")
    return version


def hide_files() -> None:
    """From here on this process and its children can open nothing but the interpreter's own folders, for reading. Needs
    no_new_privs."""
    rights = LANDLOCK_RIGHTS[min(landlock_version(), max(LANDLOCK_RIGHTS))]
    attributes = struct.pack("=Q", rights)
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    check(min(ruleset, 0), "landlock_create_ruleset")
    for path in own_folders():
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", LANDLOCK_READ_FILE | LANDLOCK_READ_DIR, folder)
        check(libc.syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0), "landlock_add_rule")
        os.close(folder)
    check(libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


class Filter:
    """A system-call filter, laid out before it is needed: between fork and program every touched page of memory is
    copied."""

    def __init__(self, program: bytes) -> None:
        self._instructions = ctypes.create_string_buffer(program)
        self._head = ctypes.create_string_buffer(
            struct.pack("@HP", len(program) // 8, ctypes.addressof(self._instructions))
        )

    def install(self) -> None:
        """Put it on this process and all it may become."""
        check(libc.prctl(PR_SET_SECCOMP, 2, self._head, 0, 0), "seccomp")
