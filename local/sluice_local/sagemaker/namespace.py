"""Run as a script: give this process its own /opt/ml, then become the command.

    python -I -S namespace.py HOST_PID ISOLATION ML_DIR STAGE_DIR WORKING_DIR COMMAND...

It is a program of its own because a mount namespace belongs to a process, and a process that unshares must
not have threads. It imports little, as every container's start waits for it.

HOST_PID is who starts it, and with whom the command ends. ISOLATION is `mount` (we may mount), `user` (we may
in a user namespace of our own) or `none`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

OPT = "/opt"
OPT_ML = "/opt/ml"

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_PR_SET_PDEATHSIG = 1
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127


def main(host_pid: str, isolation: str, ml: str, stage: str, working_dir: str, *command: str) -> None:
    """Never returns: the command takes this process over."""
    if sys.platform.startswith("linux"):
        _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(host_pid):  # it ended before the line above
        sys.exit(1)
    if isolation != "none":
        _unshare(own_user_namespace=isolation == "user")
        _map_opt_ml(ml, stage)
    os.chdir(working_dir)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell, and the command is the job's own
    except OSError as error:
        print(f"exec: {command[0]!r}: {error.strerror}", file=sys.stderr, flush=True)
        sys.exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)


def _unshare(own_user_namespace: bool) -> None:
    """Leave the machine's mount namespace: nothing mounted from now on is seen outside."""
    user, group = os.getuid(), os.getgid()
    _call("unshare", _CLONE_NEWNS | (_CLONE_NEWUSER if own_user_namespace else 0))
    if own_user_namespace:  # the same user inside as outside, so that files keep their owner
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    _mount("none", "/", flags=_MS_REC | _MS_PRIVATE)


def _map_opt_ml(ml: str, stage: str) -> None:
    if not os.path.isdir(OPT_ML):
        _add_to_opt(stage)
    _mount(ml, OPT_ML, flags=_MS_BIND | _MS_REC)


def _add_to_opt(stage: str) -> None:
    """Show an /opt with an `ml` folder beside what it really holds, and write nothing to the disk's."""
    _mount("tmpfs", stage, kind="tmpfs")
    for entry in os.scandir(OPT):
        copy = os.path.join(stage, entry.name)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), copy)
            continue
        if entry.is_dir():
            os.mkdir(copy)
        else:
            _write(copy, "")
        _mount(entry.path, copy, flags=_MS_BIND | _MS_REC)
    os.mkdir(os.path.join(stage, os.path.basename(OPT_ML)))
    _mount(stage, OPT, flags=_MS_BIND | _MS_REC)


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
