"""Run as a script: give this process its own /opt/ml, run the command, and clean up after it.

    python -I -S namespace.py HOST_PID ISOLATION FOLDERS STAGE_DIR WORKING_DIR COMMAND...

It is a separate program because a mount namespace belongs to a process, and a process that unshares must not
have threads. It imports little, as the start of every container waits for it.

HOST_PID is the parent process, whose end ends the command; 0 means none, and then SIGTERM ends the command at
once. ISOLATION is `mount` (we may mount), `user` (we may in our own user namespace) or `none`; with
`-offline` at its end the command has no network but its own loopback. FOLDERS is the folder shown as
/opt/ml; or for a function of Lambda `@OPT:TASK:TMP:LANG:FILE...`, the folders whose content is shown in
/opt, the folders shown as /var/task and /tmp, Python, shown as /var/lang, and files shown in /var/runtime.

On Linux this process stays beside the command, like a container's init. It is the *subreaper* of all that the
command starts, in any session. It passes signals to the command, ends what the command leaves behind, and
ends as the command did.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NoReturn

OPT = "/opt"
OPT_ML = "/opt/ml"

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_OFFLINE = "-offline"
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_MS_RDONLY = 0x1
_MS_REMOUNT = 0x20
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_IS_LINUX = sys.platform.startswith("linux")
_HANDED_ON = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127


def main(host_pid: str, isolation: str, folders: str, stage: str, working_dir: str, *command: str) -> None:
    """Run the command; never returns."""
    host = int(host_pid)
    if host and _IS_LINUX:
        _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if host and os.getppid() != host:  # the host ended before the line above
        sys.exit(1)
    isolation, offline = isolation.removesuffix(_OFFLINE), isolation.endswith(_OFFLINE)
    if isolation != "none":
        _unshare(own_user_namespace=isolation == "user", offline=offline)
        if folders.startswith("@"):
            _map_function(stage, *folders[1:].split(":"))
        else:
            _map_opt_ml(folders, stage)
    os.chdir(working_dir)
    if _IS_LINUX:
        _stay_beside(command, term=signal.SIGTERM if host else signal.SIGKILL)
    if folders.startswith("@") and isolation != "none":
        drop_capabilities()
    _become(command)


def _stay_beside(command: Sequence[str], term: int) -> None:
    """Fork, supervise the child, and return only in the child, which becomes the command."""
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    awaited = {signal.SIGCHLD, signal.SIGTERM, *_HANDED_ON}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    us = os.getpid()
    child = os.fork()
    if child == 0:
        os.setsid()
        _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != us:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    while (status := _ended(child)) is None:
        if (number := signal.sigwait(awaited)) != signal.SIGCHLD:
            os.kill(child, term if number == signal.SIGTERM else number)
    _end_the_rest()
    _end_alike(status)


def _ended(child: int) -> int | None:
    """Reap all that ended; returns the command's wait status once it has ended."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return status
        if pid == 0:
            return None


def _end_the_rest() -> None:
    """End our children, generation by generation: orphans become our children."""
    with suppress(ChildProcessError):  # no process is left
        while True:
            for pid in _children():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)
            # All that ended by now: to look through all processes for each of thousands takes minutes.
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _children() -> Iterator[int]:
    us = str(os.getpid())
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                # Fields after the command's name (in brackets, with any characters): state, parent.
                if stat.read().rpartition(")")[2].split()[1] == us:
                    yield int(name)


def _end_alike(status: int) -> NoReturn:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number:
        _call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)  # the command's core is enough
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) if not number else 128 + number)


def _become(command: Sequence[str]) -> NoReturn:
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - no shell, and the command is the job's own
    except OSError as error:
        print(f"exec: {command[0]!r}: {error.strerror}", file=sys.stderr, flush=True)
        sys.exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)


def _unshare(own_user_namespace: bool, offline: bool = False) -> None:
    """Leave the machine's mount namespace, so that new mounts are invisible outside, and its network."""
    user, group = os.getuid(), os.getgid()
    own_user = _CLONE_NEWUSER if own_user_namespace else 0
    _call("unshare", _CLONE_NEWNS | own_user | (_CLONE_NEWNET if offline else 0))
    if own_user_namespace:  # keep the same user inside, so that files keep their owner
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    if offline:
        _start_loopback()
    _mount("none", "/", flags=_MS_REC | _MS_PRIVATE)


def _start_loopback() -> None:
    """Let processes of the container reach each other at 127.0.0.1, as in any container."""
    import fcntl
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def _map_opt_ml(ml: str, stage: str) -> None:
    if not os.path.isdir(OPT_ML):
        _mount("tmpfs", stage, kind="tmpfs")
        _show_all(OPT, stage)
        os.mkdir(os.path.join(stage, os.path.basename(OPT_ML)))
        _mount(stage, OPT, flags=_MS_BIND | _MS_REC)
    _mount(ml, OPT_ML, flags=_MS_BIND | _MS_REC)


def _map_function(stage: str, layers: str, task: str, tmp: str, lang: str, *runtime: str) -> None:
    """Show what a function of Lambda sees: its layers in /opt, its code in /var/task, a /tmp of its own.

    First what may itself lie below /tmp. Only /tmp can be written to.
    """
    _mount("tmpfs", stage, kind="tmpfs")
    opt, var = os.path.join(stage, "opt"), os.path.join(stage, "var")
    os.mkdir(opt)
    os.mkdir(var)
    _show_all(layers, opt, read_only=True)
    _show_all(OPT, opt)
    _show_all("/var", var)
    for folder, name in ((task, "task"), (lang, "lang")):
        shown = os.path.join(var, name)
        os.makedirs(shown, exist_ok=True)
        _bind(folder, shown, read_only=True)
    os.makedirs(os.path.join(var, "runtime"), exist_ok=True)
    for file in runtime:
        shown = os.path.join(var, "runtime", os.path.basename(file))
        _write(shown, "")
        _bind(file, shown, read_only=True)
    _mount(opt, OPT, flags=_MS_BIND | _MS_REC)
    _mount(var, "/var", flags=_MS_BIND | _MS_REC)
    _mount(tmp, "/tmp", flags=_MS_BIND | _MS_REC)  # noqa: S108 - Lambda's


def _show_all(folder: str, target: str, read_only: bool = False) -> None:
    """Show a folder's entries in another folder, without writing to the disk, unless they exist there."""
    for entry in os.scandir(folder):
        copy = os.path.join(target, entry.name)
        if os.path.lexists(copy):
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), copy)
            continue
        if entry.is_dir():
            os.mkdir(copy)
        else:
            _write(copy, "")
        _bind(entry.path, copy, read_only)


def _bind(source: str, target: str, read_only: bool = False) -> None:
    _mount(source, target, flags=_MS_BIND | _MS_REC)
    if read_only:
        _mount("none", target, flags=_MS_BIND | _MS_REMOUNT | _MS_RDONLY)


def drop_capabilities() -> None:
    """Give up the superuser's privileges for good; files keep their owner, who stays the same.

    A bounding set that is empty gives programs that are started later none either.
    """
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with suppress(OSError):  # there are no further capabilities, or none may be dropped
        for capability in range(64):
            _call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _call("capset", header, bytes(24))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _mount(source: str, target: str, kind: str = "none", flags: int = 0) -> None:
    _call("mount", os.fsencode(source), os.fsencode(target), kind.encode(), flags, None)


def _call(function: str, *arguments: bytes | int | None) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
