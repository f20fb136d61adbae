"""A system-call filter for generated code, as the BPF program that Linux's seccomp takes (kernel documentation:
seccomp_filter.rst).

It refuses with EPERM: new processes and threads, new programs, sockets, signals and limits to others, tracing, mounts,
locks, shared memory and queues of System V and POSIX, watching files and reading their extended attributes (neither of
which Landlock hides), and everything that makes, changes or removes a file; opening is allowed for reading only. Of
``fcntl`` and ``ioctl`` a short list is allowed and all else refused: among the rest are ways to have the kernel send
any signal to any process (F_SETOWN with O_ASYNC), to lock files and to type into a terminal. Calls newer than this list
do not exist (ENOSYS).
Not here: installing it (confinement.py).
"""

import struct

# name: number on x86_64 and on aarch64 (None where the call does not exist there); from the kernel's tables.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "clone3": (435, 435), "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198), "socketpair": (53, 199), "io_uring_setup": (425, 425), "memfd_create": (319, 279),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438,
    438),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "setsid": (112, 157), "setpgid": (109, 154),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "perf_event_open": (298,
    241), "bpf": (321, 280), "userfaultfd": (323, 282),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268),
    "fsopen": (430, 430), "open_tree": (428, 428), "move_mount": (429, 429), "mount_setattr": (442, 442),
    "setpriority": (141, 140), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314,
    274), "sched_setaffinity": (203, 122),
    "ioprio_set": (251, 30), "migrate_pages": (256, 238), "move_pages": (279, 239), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "kcmp": (312, 272),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "semtimedop": (220, 192),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "mq_open": (240, 180), "mq_unlink": (241, 181), "mq_notify": (244, 184),
    "flock": (73, 32), "prctl": (157, 167), "seccomp": (317, 277), "timer_create": (222, 107), "get_robust_list": (274,
    100), "pidfd_open": (434, 434),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "io_setup": (206, 0), "syslog": (103, 116),
    "sync": (162, 81), "syncfs": (306, 267),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "fanotify_init": (300, 262), "quotactl": (179,
    60), "quotactl_fd": (443, 443),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "personality": (135, 92), "swapon": (167, 224),
    "swapoff": (168, 225),
    "openat2": (437, 437), "creat": (85, None), "truncate": (76, 45), "ftruncate": (77, 46), "fallocate": (285, 47),
    "mknod": (133, None), "mknodat": (259, 33),
    "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None), "unlinkat": (263, 35),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "link": (86, None), "linkat": (265, 37),
    "symlink": (88, None), "symlinkat": (266, 36),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "memfd_secret": (447, 447), "inotify_init": (253, None), "inotify_init1": (294, 26), "inotify_add_watch": (254, 27),
    "getxattr": (191, 8), "lgetxattr": (192, 9), "fgetxattr": (193, 10), "listxattr": (194, 11), "llistxattr": (195,
    12), "flistxattr": (196, 13),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198,
    15), "fremovexattr": (199, 16),
}  # fmt: skip
OPENING: dict[str, tuple[tuple[int, int] | None, tuple[int, int] | None]] = {
    "open": ((2, 1), None),
    "openat": ((257, 2), (56, 2)),
}  # (number, argument with the flags)
# (number, the values of its second argument that are allowed), by name; of all others the least is a danger to others.
CHOOSING: dict[str, tuple[tuple[int, int], tuple[int, ...]]] = {
    # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ; F_SETFL, without O_ASYNC, has steps of its own
    "fcntl": ((72, 25), (0, 1, 2, 3, 1030, 1032)),
    # TCGETS and TIOCGWINSZ (is it a terminal, how wide), FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
    "ioctl": ((16, 29), (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)),
}
NEWEST = 453  # fchmodat2 is 452; on both architectures new calls have the same numbers
LIMITING = (302, 261)  # prlimit64: a process may limit itself, not the one that watches it
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_O_ASYNC = 0o20000
_WRITING = 0o1 | 0o2 | 0o100 | 0o1000 | 0o2000 | _O_ASYNC  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_APPEND
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # SECCOMP_RET_ALLOW, _ERRNO | EPERM, _KILL_PROCESS
_UNKNOWN = 0x00050026  # SECCOMP_RET_ERRNO | ENOSYS
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_F_SETFL = 4
_SECOND, _THIRD = 16 + 8, 16 + 16  # where the low words of these arguments lie in seccomp_data
_X32 = 0x40000000  # x86_64's second table of system calls


def program(machine: str) -> bytes:
    """The filter for ``platform.machine()``; empty where that architecture is not known here."""
    if machine not in ARCHITECTURES:
        return b""
    column, audit = ARCHITECTURES[machine]
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    steps += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _REFUSE)]
    steps += [(_AT_LEAST, 0, 1, NEWEST), (_RETURN, 0, 0, _UNKNOWN)]
    for pair in REFUSED.values():
        if (number := pair[column]) is not None:
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    for calls in OPENING.values():
        if (call := calls[column]) is not None:
            steps += [
                (_EQUAL, 0, 4, call[0]),
                (_LOAD, 0, 0, 16 + 8 * call[1]),
                (_ANY_BIT, 0, 1, _WRITING),
                (_RETURN, 0, 0, _REFUSE),
                (_RETURN, 0, 0, _ALLOW),
            ]
    flags = [
        (_EQUAL, 0, 4, _F_SETFL),
        (_LOAD, 0, 0, _THIRD),
        (_ANY_BIT, 0, 1, _O_ASYNC),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for name, (numbers, allowed) in CHOOSING.items():
        choice = [(_LOAD, 0, 0, _SECOND), *(flags if name == "fcntl" else [])]
        for value in allowed:
            choice += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
        choice.append((_RETURN, 0, 0, _REFUSE))
        steps += [(_EQUAL, 0, len(choice), numbers[column]), *choice]
    steps += [
        (_EQUAL, 0, 3, LIMITING[column]),
        (_LOAD, 0, 0, 16),
        (_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
