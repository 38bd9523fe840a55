"""Run as a script by the Python of an environment: load modules, and then be forked for each script.

    python warm_interpreter.py CONTROL_FD MODULE...

The socket CONTROL_FD gets `s` when this process cannot be read or traced any more, and `r` when it has loaded
the modules. Each message to it brings two descriptors: a socket to the new process, and its output. The new
process, a child of our parent, says its number, reads a JSON object with `command`, `variables` and
`working_dir`, and is from then on what `python script.py` would be. If that could differ, it executes the
command in its place.

This process never gets to know a variable of a job: those are read after the fork.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import importlib.machinery
import io
import json
import os
import re
import signal
import socket
import sys
import time
import types
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

_PR_SET_DUMPABLE = 4
_FIRST_TO_END = "1000"  # as `processes.py` has it
# They differ from job to job, and no library reads them when it is loaded.
_OF_A_JOB = re.compile(
    r"SM_\w+|(TRAINING|PROCESSING)_JOB_(NAME|ARN)|AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)"
    r"|PYTHONPATH|PIP_DISABLE_PIP_VERSION_CHECK"
)
# Code that could change, before it imports a library, what that reads, or which library it is.
# Variables may be read.
_PREPARES = re.compile(
    rb"""\benviron\b(?!\.get\(|\[["']\w+["']\](?!\s*\|?\+?=[^=]))|del\s+os\.environ\b|putenv|unsetenv|dotenv"""
    rb"|\bsys\.(path|modules|meta_path|path_hooks)\b|\b(addsitedir|pip)\b"
)
_CODE_BYTES_MAX = 1 << 20
# Threads that do without: jemalloc, which pyarrow has, goes on without its own in a fork.
_NOT_MISSED = {"jemalloc_bg_thd"}
_LOADED_AT_START = {"sitecustomize", "usercustomize"}
# Modules may set further variables when they are loaded.
_BEFORE = dict(os.environ)
_STARTED_WITH = frozenset(sys.modules)
_libc = ctypes.CDLL(None, use_errno=True)


def _load(modules: Iterable[str]) -> None:
    """Import modules; leave, if what they do at that could differ for a script, or be lost."""
    unheard, output = os.pipe()
    os.set_blocking(unheard, False)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    for name in modules:
        importlib.import_module(name)
    sys.stdout.flush()
    # Who knows about forks, as OpenBLAS does, ends its threads before one. All others would be missing.
    if (pid := _fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    threads = {_thread_name(each) for each in os.listdir("/proc/self/task") if int(each) != os.getpid()}
    if threads - _NOT_MISSED:
        sys.exit("a module has started a thread")
    try:
        os.waitpid(-1, os.WNOHANG)
        sys.exit("a module has started a process")
    except ChildProcessError:
        pass
    try:
        os.read(unheard, 1)
        sys.exit("a module has written something")
    except BlockingIOError:
        os.close(unheard)
    gc.collect()
    gc.freeze()


def _leave() -> None:
    """Leave what was loaded for all scripts as it is: Python would take 40 ms to take it apart.

    This is the last that is done at exit: Python then ends what the script itself made and loaded. Files that
    packages hold open are written out.
    """
    for each in gc.get_objects():
        if isinstance(each, io.TextIOWrapper | io.BufferedWriter) and not each.closed:
            each.flush()
    for name in _loaded:
        if isinstance(module := sys.modules.get(name), types.ModuleType):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(module))
            sys.modules[name] = None  # type: ignore[assignment]  # as Python does


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of the threads that are not missed.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _thread_name(number: str) -> str:
    with open(f"/proc/self/task/{number}/comm", encoding="utf-8") as file:
        return file.read().strip()


def _forked(control: socket.socket) -> socket.socket:
    """Fork whenever it is asked for; returns in the new process alone, with its socket."""
    while True:
        _, descriptors, *_ = socket.recv_fds(control, 1, 2)
        if len(descriptors) < 2:
            os._exit(0)  # the parent has ended
        if (between := _fork()) == 0:
            between = os.getpid()
            if _fork():
                os._exit(0)
            break
        for each in descriptors:
            os.close(each)
        os.waitpid(between, 0)
    control.close()
    os.setsid()
    mine, output = descriptors
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    # Then it is our parent's child, who waits for its end.
    while os.getppid() == between:
        time.sleep(0.0001)
    return socket.socket(fileno=mine)


def _order(mine: socket.socket) -> dict[str, Any]:
    with mine, mine.makefile("rb") as file:
        mine.sendall(str(os.getpid()).encode())
        text = file.read()
    if not text:
        os._exit(1)  # the parent has given up waiting
    order: dict[str, Any] = json.loads(text)
    return order


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def _is_alike(script: str, variables: Mapping[str, str], folders: Collection[str]) -> bool:
    """Tell whether a script finds everything here as in an interpreter of its own."""
    if not all(map(_OF_A_JOB.fullmatch, _differing(variables, _BEFORE))):
        return False
    loaded = {name.partition(".")[0] for name in sys.modules} | _LOADED_AT_START
    room = _CODE_BYTES_MAX
    for folder in set(map(os.path.realpath, filter(os.path.isdir, folders))):
        if loaded.intersection(name.partition(".")[0] for name in os.listdir(folder)):
            return False
        for above, _, names in os.walk(folder):
            for name in names:
                if name.endswith(".py"):
                    with open(os.path.join(above, name), "rb") as file:
                        text = file.read(room)
                    room -= len(text)
                    if room <= 0 or _PREPARES.search(text):
                        return False
    return os.path.isfile(script)


def _lay_open() -> None:
    """Be what a script's process is: one that may be looked at, and the first to end for want of memory."""
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    # Its parent cannot: a process that may not be looked at has no files below /proc that are its user's.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(_FIRST_TO_END)


def _execute(command: list[str], variables: dict[str, str]) -> None:
    """Be a new interpreter, as subprocess starts one."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execve(command[0], command, variables)  # noqa: S606 - no shell, and the command is the job's own


def _become(command: list[str], variables: dict[str, str], search: list[str]) -> None:
    """Take a script's names, variables and chance."""
    sys.executable, *sys.argv = command
    sys.orig_argv[:] = command
    sys.path[:0] = search
    for name in _differing(os.environ, _BEFORE) & os.environ.keys():
        variables[name] = os.environ[name]
    os.environ.clear()
    os.environ.update(variables)
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__loader__ = importlib.machinery.BuiltinImporter
    vars(main)["__builtins__"] = sys.modules["builtins"]
    main.__annotations__ = {}
    loaded: Mapping[str, Any] = sys.modules
    if "threading" in loaded:
        loaded["threading"].main_thread()._set_native_id()
    if "logging" in loaded:
        loaded["logging"]._startTime = time.time()
    if "numpy.random" in loaded:
        loaded["numpy.random"].seed()
    if "multiprocessing.process" in loaded:
        processes = loaded["multiprocessing.process"]
        processes.ORIGINAL_DIR = os.getcwd()
        processes.current_process().authkey = os.urandom(32)


def _run(script: str) -> None:
    """Run a script as Python's own main program does, with its traceback and its exit."""
    libc_open, run = _libc.fopen, ctypes.pythonapi.PyRun_SimpleFileExFlags
    libc_open.restype = ctypes.c_void_p
    run.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
    path = os.fsencode(os.path.join(os.getcwd(), script))
    # After an interrupt Python ends itself by that signal once it has come to its end.
    if run(libc_open(path, b"rb"), path, 1, None) and sys.last_type is not KeyboardInterrupt:
        sys.exit(1)


if __name__ == "__main__":
    del sys.path[0]
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _control = socket.socket(fileno=int(sys.argv[1]))
    _control.send(b"s")
    _loaded = frozenset[str]()
    atexit.register(_leave)
    try:
        _load(sys.argv[2:])
    except BaseException:
        # What a package has forked has the socket too, and its threads may hold up our end.
        _control.shutdown(socket.SHUT_RDWR)
        raise
    # A package may have allowed it.
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _loaded = frozenset(sys.modules) - _STARTED_WITH
    _control.send(b"r")
    _given = _order(_forked(_control))
    _lay_open()
    _command, _variables = _given["command"], _given["variables"]
    os.chdir(_given["working_dir"])
    # As Python reads them: without twins, and absolute.
    _listed = _variables.get("PYTHONPATH", "")
    _search = list(dict.fromkeys(map(os.path.abspath, _listed.split(":")))) if _listed else []
    _folders = [os.path.dirname(os.path.realpath(_command[1])), *_search]
    try:
        _alike = _is_alike(_command[1], _variables, _folders)
    except OSError:  # as of a link to nothing
        _alike = False
    if not _alike:
        _execute(_command, _variables)
    _become(_command, _variables, _folders)
    _run(_command[1])
