"""What a process that reads a stranger's document can still do: compute, and write its answer. Nothing else."""

import ctypes
import platform
import resource
import struct
import sys
from collections.abc import Sequence

from reading.limits import CPU_SECONDS, MEMORY_BYTES

_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000

_ALLOWED = {
    # read, write, close, fstat, lseek, mmap, mprotect, munmap, brk, rt_sigaction, rt_sigprocmask, rt_sigreturn,
    # sched_yield, mremap, madvise, getpid, exit, sigaltstack, gettid, futex, clock_gettime, exit_group, getrandom
    "x86_64": (
        0xC000003E,
        (0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 39, 60, 131, 186, 202, 228, 231, 318),
    ),
    "aarch64": (
        0xC00000B7,
        (63, 64, 57, 80, 62, 222, 226, 215, 214, 134, 135, 139, 124, 216, 233, 172, 93, 132, 178, 98, 113, 94, 278),
    ),
}
"""By machine: its number for the filter, and the system calls that stay. None opens, connects, starts or signals."""


def limit() -> None:
    """Bound time, memory and what may be written; before anything is imported that parses."""
    for what, most in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def lock() -> None:
    """Take away files, network and other processes, for good; after everything needed is imported.

    Raises:
        OSError: the kernel does not do it. Then nothing may be read.
    """
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    if sys.platform == "linux":
        number, calls = _ALLOWED[platform.machine()]
        _filter(number, calls)


def _filter(machine: int, calls: Sequence[int]) -> None:
    """Let the kernel refuse every system call but `calls` (seccomp, a classic BPF program)."""
    step = struct.Struct("=HBBI").pack
    program = b"".join(
        [
            step(_LOAD, 0, 0, 4),
            step(_EQUAL, 1, 0, machine),
            step(_RETURN, 0, 0, _KILL),
            step(_LOAD, 0, 0, 0),
            *(step(_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)),
            step(_RETURN, 0, 0, _REFUSE),
            step(_RETURN, 0, 0, _ALLOW),
        ]
    )
    steps = ctypes.create_string_buffer(program, len(program))
    told = struct.pack("@HP", len(program) // 8, ctypes.addressof(steps))
    control = ctypes.CDLL(None, use_errno=True).prctl
    for arguments in ((_NO_NEW_PRIVILEGES, 1, 0), (_SECCOMP, _FILTER, ctypes.create_string_buffer(told, len(told)))):
        asked = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
        if control(*asked, ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
            raise OSError(ctypes.get_errno(), "the process cannot be confined")
