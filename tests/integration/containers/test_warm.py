"""A script that is a fork of a waiting interpreter is what `python script.py` is, and apart from others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import markupsafe._speedups
import pytest

from sluice.containers import processes, warm
from sluice.containers.environments import Python, without_packages

ROOT = Path(__file__).parents[3]
WORLD = Path(__file__).with_name("warm_world.py")
# Says in the first line of a script, without a further name, whether it is a fork.
HOW = (
    'if __name__ == "__main__": open(__import__("os").getenv("SM_HOW"), "w").write('
    'open("/proc/self/cmdline").read())\n'
)
# Until what it has loaded was seen.
LOADS = "import os, time, pack._speedups\nwhile not os.path.exists('seen'):\n    time.sleep(0.01)\n"


@dataclass(frozen=True, slots=True)
class World:
    """An environment with one package, which has a compiled module; and the folder of a job's code."""

    python: Python
    folder: Path

    def case(self, command: Sequence[str], **more: Any) -> dict[str, Any]:
        variables = {"SM_HOW": str(self.folder / "how"), **more.pop("variables", {})}
        return {"command": command, "variables": variables, "folder": str(self.folder), **more}

    @contextmanager
    def waiting_with(self, text: str) -> Iterator[None]:
        """Have the package do something where it is loaded by what waits, and nowhere else."""
        package = self.python.site_packages / "pack" / "__init__.py"
        before = package.read_text()
        body = textwrap.indent(text, "    ")
        package.write_text(f"import sys\nif 'warm_interpreter' in ' '.join(sys.argv):\n{body}\n")
        try:
            yield
        finally:
            package.write_text(before)

    def write(self, name: str, text: str | bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return name

    def place(self, name: str) -> World:
        """The same with the code of another job."""
        (self.folder / name).mkdir()
        return replace(self, folder=self.folder / name)

    def play(self, *cases: Mapping[str, Any]) -> list[Any]:
        done = subprocess.run(
            [sys.executable, str(WORLD), str(self.python.folder)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/layers/common:{ROOT}/local"},
            input=json.dumps(cases),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    def was_forked(self) -> bool:
        return "warm_interpreter.py" in (self.folder / "how").read_text()

    def play_warm(self, *cases: Mapping[str, Any]) -> list[Any]:
        """Play a job that loads the package before."""
        before = self.case(["python3", self.write("loads.py", LOADS)], seen=str(self.folder / "seen"))
        return self.play(before, *cases)[1:]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """One that says where it lies, if it is loaded by anything."""
    made = without_packages(tmp_path_factory.mktemp("environments") / "one")
    package = made.site_packages / "pack"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import logging, multiprocessing, multiprocessing.pool, random\nload = []\n"
    )
    compiled = Path(str(markupsafe._speedups.__file__))
    (package / compiled.name).write_bytes(compiled.read_bytes())
    return made


@pytest.fixture
def world(python: Python, tmp_path: Path) -> World:
    folder = tmp_path / "code"
    folder.mkdir()
    return World(python, folder)


SCRIPTS = {
    "names": """
        '''A script.'''
        import sys
        search = getattr(sys, "pa" + "th")
        print(sys.argv, sys.orig_argv, search, sys.executable, sys.prefix, sys.flags, sys.warnoptions)
        print(__name__, __file__, __spec__, __package__, __doc__, __cached__, __annotations__, __builtins__)
        print(type(__loader__), sorted(globals()), sys.dont_write_bytecode, sys._base_executable)
    """,
    "variables": """
        import os, subprocess
        print(sorted(getattr(os, "envi" + "ron").items()), os.getenv("SM_HP_ALPHA"), os.getenv("HOME"))
        print("\\n".join(sorted(subprocess.check_output(["env"], text=True).split("\\n"))))
    """,
    "an exit code": "raise SystemExit(3)",
    "a large exit code": "import sys; sys.exit(256 + 5)",
    "an exit message": "import sys; sys.exit('no data')",
    "an exit without a code": "import sys; print('x', end=''); sys.exit()",
    "an exit from a function of main": "def main(): return True\nraise SystemExit(main())",
    "an exit at once": "import os; print('not flushed?', end=''); os._exit(7)",
    "a traceback": """
        def inner(x):
            raise ValueError(f"no {x}")
        def outer():
            try:
                inner(1)
            except ValueError as error:
                raise RuntimeError("outer") from error
        outer()
    """,
    "a syntax error": "print('one')\ndef x(:\n",
    "a group of exceptions": "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
    "a missing module": "import nothing_of_this_name",
    "an error in a module beside it": "import broken",
    "an excepthook": "import sys\nsys.excepthook = lambda *args: print('hook', args[:2])\n1 / 0",
    "an excepthook that fails": "import sys\nsys.excepthook = lambda *args: 1 / 0\nint('x')",
    "an interrupt": "raise KeyboardInterrupt",
    "atexit": """
        import atexit
        atexit.register(print, 'last')
        atexit.register(print, 'first')
        print('now')
        1/0
    """,
    "atexit that fails": "import atexit\natexit.register(lambda: 1 / 0)\nprint('now')",
    "threads": """
        import threading, time
        def late():
            # Its traceback is written by then, however long that takes.
            threading.main_thread().join()
            print("late", threading.current_thread().name)
        print(threading.main_thread() is threading.current_thread(), threading.active_count())
        print(threading.main_thread().native_id == __import__("os").getpid())
        threading.Thread(target=late).start()
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        raise LookupError("main")
    """,
    "processes": """
        import multiprocessing, os
        class Square:
            def __call__(self, x):
                return x * x, __name__ != "__main__", Square.__module__
        if __name__ == "__main__":
            print(multiprocessing.current_process().name, multiprocessing.parent_process())
            for method in ("fork", "spawn", "forkserver"):
                with multiprocessing.get_context(method).Pool(2) as pool:
                    print(method, pool.map(Square(), range(3)))
    """,
    "an executor": """
        from concurrent.futures import ProcessPoolExecutor
        def double(x):
            return 2 * x
        if __name__ == "__main__":
            with ProcessPoolExecutor(2) as pool:
                print(list(pool.map(double, range(4))))
    """,
    "standard input": """
        import sys; print(repr(sys.stdin.read()), sys.stdin.fileno(), sys.stdin.isatty())
    """,
    "streams": """
        import locale, sys
        for each in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__):
            print(each.name, each.encoding, each.errors, each.line_buffering, each.write_through, each.mode)
        print(sys.getfilesystemencoding(), locale.getlocale(), sys.stdout.isatty(), sys.stdout.seekable())
        print("é ✓ \\udcff".encode("utf-8", "surrogateescape"), "é ✓")
        sys.stderr.write("in order\\n")
        sys.stdout.buffer.write(b"\\xff raw\\n")
    """,
    "signals": """
        import signal
        named = set(signal.Signals) & signal.valid_signals()
        print([(number.name, signal.getsignal(number)) for number in sorted(named)])
        print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.set_wakeup_fd(-1))
    """,
    "a signal to itself": "import os, signal\nprint('before')\nos.kill(os.getpid(), signal.SIGTERM)",
    "a crash": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "an alarm": "import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0.05)\ntime.sleep(20)",
    "a handler": """
        import os, signal
        signal.signal(signal.SIGTERM, lambda number, frame: print("told", number, frame.f_code.co_name))
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.kill(os.getpid(), signal.SIGINT)
    """,
    "what it has of its parent": """
        import os, resource, sys
        print(os.getcwd(), os.getppid(), os.getsid(0) == os.getpid() == os.getpgrp(), os.nice(0))
        print(sorted(os.listdir("/proc/self/fd")), [os.readlink("/proc/self/fd/0")])
        print(oct(os.umask(0)), os.sched_getaffinity(0))
        print([resource.getrlimit(n) for n in range(16)], open("/proc/self/comm").read())
        print(os.waitstatus_to_exitcode(os.system("exit 3")))
        try:
            os.wait()
        except ChildProcessError as error:
            print(error)
        print(__import__("ctypes").CDLL(None).prctl(3, 0, 0, 0, 0), "is dumpable")
        # That of a process of its own is set a moment after its start.
        print(open("/proc/self/oom_score_adj").read())
    """,
    "pickles": """
        import pickle
        from dataclasses import dataclass, replace
        @dataclass
        class Model:
            weights: list[float]
        text = pickle.dumps(Model([1.0]))
        print(text, pickle.loads(text), Model.__module__, Model.__qualname__)
    """,
    "sources": """
        import inspect, sys
        def shown():
            # with its comment
            return sys._getframe().f_code.co_filename
        print(inspect.getsource(shown), shown(), inspect.getsourcefile(shown))
        print(inspect.getmodule(shown).__name__)
    """,
    "hints": """
        import typing
        class Later: ...
        class Early:
            later: "Later"
        def hinted(x: Later) -> list[Later]: ...
        x: int = 1
        print(typing.get_type_hints(hinted), typing.get_type_hints(Early))
        print(__annotations__, hinted.__annotations__)
    """,
    "a module beside it": """
        import helper
        print(helper.__file__, helper.value, helper.__name__)
        import folder.inner as i
        print(i.__package__)
    """,
    "warnings": """
        import warnings
        print(warnings.filters)
        warnings.warn('look')
        warnings.warn('old', DeprecationWarning)
    """,
    "logging": """
        import logging
        logging.basicConfig(level=20)
        logging.info('said')
        logging.getLogger('a').error('%s', 1, exc_info=ValueError(1))
    """,
    "asyncio": """
        import asyncio
        async def work():
            await asyncio.sleep(0)
            return 1
        print(asyncio.run(work()))
    """,
    "an audit of imports": "import pack\nprint(pack.load, pack.__file__)",
    "a child interpreter": """
        import subprocess, sys
        code = "import sys, pack; print(sys.prefix, sys.flags)"
        print(subprocess.check_output([sys.executable, "-c", code], text=True))
    """,
    "a subprocess of a broken pipe": """
        import subprocess
        print(subprocess.run('yes | head -1', shell=True, capture_output=True))
    """,
    "an unraisable error": "class A:\n    def __del__(self): 1 / 0\na = A()\ndel a\nprint('on')",
    "what is left at the end": """
        class A:
            def __del__(self): print('deleted', __name__)
        a = A()
        print('end')
    """,
    "an end that needs packages": """
        import atexit, pack, threading
        class A:
            def __init__(self): self.pack = pack
            def __del__(self): print('deleted', self.pack.load)
        a = A()
        atexit.register(lambda: print('at exit', pack.load))
        threading.Thread(target=lambda: print('thread', pack.load)).start()
    """,
    "a file left open": "file = open('/dev/null')\nfile2 = open('written', 'w')\nfile2.write('x')",
}  # fmt: skip


def script(text: str) -> str:
    return HOW + textwrap.dedent(text).strip("\n") + "\n"


@pytest.fixture(scope="module")
def side_by_side(
    python: Python, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Any, Any, bool]]:
    """Each script as a process of its own, and as a fork; and whether it was one."""
    world = World(python, tmp_path_factory.mktemp("code"))
    world.write("broken.py", "def f():\n    raise OSError('beside')\nf()\n")
    world.write("helper.py", "value = 1\n")
    world.write("folder/__init__.py", "")
    world.write("folder/inner.py", "")
    cases = []
    for index, text in enumerate(SCRIPTS.values()):
        command = ["python3", world.write(f"script_{index}.py", script(text)), "--alpha", "a b", "é"]
        more = {"SM_HP_ALPHA": "1", "AWS_SESSION_TOKEN": "secret", "PYTHONPATH": str(world.folder)}
        for kind in ("cold", "warm"):
            variables = {**more, "SM_HOW": str(world.folder / f"how-{kind}-{index}")}
            cases.append(world.case(command, cold=kind == "cold", variables=variables))
    results = iter(world.play_warm(*cases))
    found = {}
    for index, name in enumerate(SCRIPTS):
        how = [(world.folder / f"how-{kind}-{index}") for kind in ("cold", "warm")]
        is_fork = [path.exists() and "warm_interpreter.py" in path.read_text() for path in how]
        cold, warm = next(results)[:2], next(results)[:2]
        found[name] = (without(cold, "cold"), without(warm, "warm"), is_fork[1] and not is_fork[0])
    return found


def without(result: list[Any], kind: str) -> list[Any]:
    """The result without what is each process's own."""
    return [result[0], re.sub(r"0x[0-9a-f]+", "0x", result[1]).replace(f"how-{kind}", "how")]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_fork_is_what_a_process_of_its_own_is(name: str, side_by_side: Any) -> None:
    cold, warm, is_fork = side_by_side[name]
    assert warm == cold
    assert is_fork is (name != "a syntax error")


@pytest.mark.parametrize("place", ["./odd name.py", "deep/odd.py", "/absolute"])
def test_a_script_is_found_by_whatever_path(world: World, place: str) -> None:
    world.write(
        "real/script.py", script(SCRIPTS["names"]) + "import inspect\nprint(inspect.stack()[0].filename)\n"
    )
    if place == "/absolute":
        place = str(world.folder / "link.py")
    (world.folder / place).parent.mkdir(exist_ok=True)
    (world.folder / place).symlink_to(world.folder / "real/script.py")
    command = ["python", place]
    cold, warm = world.play_warm(world.case(command, cold=True), world.case(command))
    assert warm[:2] == cold[:2]
    assert world.was_forked()


def test_a_script_is_read_as_python_reads_it(world: World) -> None:
    texts = (
        b"# coding: latin-1\nprint('\xe9')\n",
        b"\xef\xbb\xbfprint('a mark of the order of bytes')",
        b"if True:\r\n    print('lines of Windows')\r\n",
        b"print('\xe9 is not UTF-8')\n",
        b"from __future__ import annotations\ndef f(x: y): ...\nprint(f.__annotations__)",
        b"def f(x: 1 + 1): ...\nprint(f.__annotations__)",
        b"",
        b"print('a null \0')",
    )
    commands = [["python3", world.write(f"odd_{index}.py", text)] for index, text in enumerate(texts)]
    cold = world.play_warm(*(world.case(command, cold=True) for command in commands))
    warm = world.play_warm(*(world.case(command) for command in commands))
    assert [each[:2] for each in warm] == [each[:2] for each in cold]


# ----------------------------------------------------------------------------------- what is a new process

RUNS = "import os, time\nprint('ran', time.tzname, [os.getenv(name) for name in ('OMP_NUM_THREADS', 'HOME')])"
PREPARES = (
    "import os\nos.environ['OMP_NUM_THREADS'] = '1'",
    "import os\nos.environ.setdefault('MPLBACKEND', 'agg')",
    "import os\nos.environ |= {}",
    "import os\nos.environ['A'] += '1'",
    "import os\nnames = ['A']\nos.environ[names[0]] = '1'",
    "import os\ndel os.environ['HOME']",
    "import os\nos.putenv('A', '1')",
    "from os import environ\nenviron['A'] = '1'",
    "import sys\nsys.path.insert(0, 'vendored')",
    "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', '--version'])",
)
READS = ("import os\nos.environ['HOME'], os.environ.get('A')", "environment = 1", "pipe = 'pip_'")


def test_code_that_changes_what_packages_read_or_are_is_a_new_process(world: World) -> None:
    places = [world.place(f"place-{index}") for index in range(len(PREPARES + READS))]
    for place, text in zip(places, PREPARES + READS, strict=True):
        place.write("prepares.py", text)
        place.write("runs.py", script(RUNS))
    results = world.play_warm(*(place.case(["python3", "runs.py"]) for place in places))
    assert {result[0] for result in results} == {0}
    assert [place.was_forked() for place in places] == [False] * len(PREPARES) + [True] * len(READS)


def test_a_module_beside_the_script_that_hides_a_loaded_one_is_a_new_process(world: World) -> None:
    names = ("pack.py", "pack/__init__.py", "random.py", "sitecustomize.py", "logging/x.py")
    places = [world.place(f"place-{index}") for index in range(len(names))]
    for place, name in zip(places, names, strict=True):
        place.write("runs.py", script("import random, pack, logging\nprint(random.__file__, pack.__file__)"))
        place.write(name, "")
    cases = (place.case(["python3", "runs.py"], cold=cold) for place in places for cold in (True, False))
    results = world.play_warm(*cases)
    assert [each[:2] for each in results[0::2]] == [each[:2] for each in results[1::2]]
    assert not any(place.was_forked() for place in places)


def test_code_that_cannot_be_read_is_a_new_process(world: World) -> None:
    command = ["python3", world.write("runs.py", script(RUNS))]
    (world.folder / ".#runs.py").symlink_to("somebody@somewhere.1")
    cold, warm = world.play_warm(world.case(command, cold=True), world.case(command))
    assert warm[:2] == cold[:2]
    assert not world.was_forked()


def test_a_job_with_variables_of_its_own_is_a_new_process(world: World) -> None:
    given = (
        {"OMP_NUM_THREADS": "1"},
        {"PYTHONHASHSEED": "0"},
        {"PYTHONUNBUFFERED": ""},
        {"TZ": "Asia/Tokyo"},
        {"HOME": "/elsewhere"},
    )
    places = [world.place(f"place-{index}") for index in range(len(given))]
    cases = []
    for place, variables in zip(places, given, strict=True):
        place.write("runs.py", script(RUNS))
        cases += [
            place.case(["python3", "runs.py"], cold=cold, variables=variables) for cold in (True, False)
        ]
    results = world.play_warm(*cases)
    assert [each[:2] for each in results[0::2]] == [each[:2] for each in results[1::2]]
    assert not any(place.was_forked() for place in places)


def test_a_script_that_was_seen_to_load_no_packages_is_a_new_process(world: World) -> None:
    command = ["python3", world.write("sleeps.py", script("import time\ntime.sleep(0.5)"))]
    loads = world.case(["python3", world.write("loads.py", LOADS)], seen=str(world.folder / "seen"))
    world.play(world.case(command), loads, world.case(command))
    assert not world.was_forked()
    (world.folder / "seen").unlink()
    world.play(loads, world.case(command))
    assert world.was_forked()


def test_another_command_is_a_new_process(world: World) -> None:
    commands = (
        ["python3", "-u", "runs.py"],
        ["python3", "-m", "runs"],
        ["/bin/sh", "-c", "python3 runs.py"],
        ["python3", "folder.py"],
        ["python3", "absent.py"],
    )
    places = [world.place(f"place-{index}") for index in range(len(commands))]
    cases = []
    for place, command in zip(places, commands, strict=True):
        place.write("runs.py", script(RUNS))
        place.write("folder.py/__main__.py", script(RUNS))
        cases += [place.case(command, cold=cold) for cold in (True, False)]
    results = world.play_warm(*cases)
    assert [each[:2] for each in results[0::2]] == [each[:2] for each in results[1::2]]
    assert not any(place.was_forked() for place in places[:-1])


@pytest.mark.parametrize(
    "text",
    [
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()",
        "import threading\nthreading.Thread(target=threading.Event().wait).start()",
        "import subprocess\nsubprocess.Popen(['sleep', '600'])",
        "import os, time\nif os.fork() == 0:\n    time.sleep(600)",
        "print('a notice')",
        "import sys\nsys.stderr.write('x')",
        "raise OSError('it cannot be loaded twice')",
    ],
)
def test_packages_that_do_more_than_load_are_loaded_by_each_job(world: World, text: str) -> None:
    with world.waiting_with(text):
        began = time.monotonic()
        (result,) = world.play_warm(world.case(["python3", world.write("runs.py", script(RUNS))]))
        took_s = time.monotonic() - began
    assert took_s < warm._TIMEOUT_S, "it was waited for"
    assert result[0] == 0, result
    assert not world.was_forked()


# ------------------------------------------------------------------------------------- one job from another


def test_a_fork_writes_out_what_packages_hold_open_and_takes_none_of_them_apart(world: World) -> None:
    text = """
    import pack
    class Held:
        def __del__(self): print('taken apart')
    pack.held = Held()
    pack.text = open('text', 'w')
    pack.text.write('x')
    pack.content = open('content', 'wb')
    pack.content.write(b'y')
    """
    ((code, output, _),) = world.play_warm(world.case(["python3", world.write("holds.py", script(text))]))
    assert (code, output) == (0, "")
    assert (world.folder / "text").read_text() + (world.folder / "content").read_text() == "xy"


def test_each_fork_draws_numbers_of_its_own(world: World) -> None:
    text = """
        import multiprocessing.process, os, random, secrets, tempfile, uuid
        print(random.random(), uuid.uuid4(), secrets.token_hex(8), tempfile.mktemp())
        print(multiprocessing.process.current_process().authkey.hex())
    """
    command = ["python3", world.write("draws.py", script(text))]
    one, two = world.play_warm(world.case(command), world.case(command))
    assert world.was_forked()
    assert not set(one[1].split()) & set(two[1].split())


def test_what_a_job_changes_in_memory_is_gone_with_it(world: World) -> None:
    spoils = (
        "import builtins, os, pack, sys\npack.load.append('spoilt')\nbuiltins.print = None\nos.chdir('/')"
    )
    looks = "import pack, os\nprint(pack.load, os.getcwd())"
    first, second = (
        world.case(["python3", world.write(f"{n}.py", script(t))]) for n, t in (("a", spoils), ("b", looks))
    )
    one, two = world.play_warm(first, second)
    assert (one[0], two[:2]) == (0, [0, f"[] {world.folder}\n"])
    assert world.was_forked()


ATTACKS = """
    import ctypes, os, pathlib, resource, signal
    libc = ctypes.CDLL(None, use_errno=True)
    (waiting,) = (
        int(pid)
        for pid in pathlib.Path(f"/proc/{os.getppid()}/task/{os.getppid()}/children").read_text().split()
        if int(pid) != os.getpid()
    )
    found = {}
    def attempt(name, act):
        try:
            found[name] = repr(act())
        except OSError as error:
            found[name] = type(error).__name__
    def trace():
        if libc.ptrace(16, waiting, 0, 0):
            raise OSError(ctypes.get_errno(), "")
    attempt("memory", lambda: open(f"/proc/{waiting}/mem", "rb+"))
    attempt("variables", lambda: open(f"/proc/{waiting}/envi" + "ron").read())
    attempt("files", lambda: os.readlink(f"/proc/{waiting}/fd/0"))
    attempt("maps", lambda: open(f"/proc/{waiting}/maps").read())
    attempt("trace", trace)
    print("waiting", pathlib.Path(f"/proc/{waiting}/cmdline").read_text().count("warm_interpreter"))
    print(found, set(found.values()))
"""


def test_a_script_cannot_read_or_trace_what_waits(world: World) -> None:
    (result,) = world.play_warm(world.case(["python3", world.write("attacks.py", script(ATTACKS))]))
    assert world.was_forked()
    assert result[1].startswith("waiting 1\n")
    assert result[1].endswith("{'PermissionError'}\n"), result


def test_no_script_begins_before_what_waits_is_unreadable(world: World) -> None:
    starts = world.python.site_packages / "sitecustomize.py"
    starts.write_text(
        "import sys, time\nif 'warm_interpreter' in ' '.join(sys.orig_argv):\n    time.sleep(1)\n"
    )
    ours = "$(cat /proc/$PPID/task/$PPID/children)"
    reads = f"for each in {ours}; do cat /proc/$each/environ > /dev/null; done; true"
    before = world.case(
        ["python3", world.write("loads.py", LOADS)], seen=str(world.folder / "seen"), hurry=True
    )
    try:
        _, result = world.play(before, world.case(["/bin/sh", "-c", reads]))
    finally:
        starts.unlink()
    assert result[0] == 0
    # Of its own it reads all: only what waits refuses.
    assert result[1].count("denied") == 1, result


HARMS = (
    "os.kill(waiting, signal.SIGKILL)",
    "os.kill(waiting, signal.SIGTERM)",
    "os.kill(waiting, signal.SIGINT)",
    "os.kill(waiting, signal.SIGSTOP)",
    "resource.prlimit(waiting, resource.RLIMIT_NOFILE, (64, 64))",
    "os.sched_setaffinity(waiting, {0} if os.cpu_count() > 1 else os.kill(waiting, 9) or {0})",
    "os.sched_setscheduler(waiting, os.SCHED_BATCH, os.sched_param(0))",
    "os.setpriority(os.PRIO_PROCESS, waiting, 19)",
    # ioprio_set: the least important of all.
    "assert ctypes.CDLL(None).syscall({'x86_64': 251}.get(os.uname().machine, 30), 1, waiting, 3 << 13) == 0",
)


def test_a_script_that_harms_what_waits_costs_the_next_job_a_start(world: World) -> None:
    looks = (
        "import os, resource\n"
        "print(resource.getrlimit(7), os.nice(0), os.sched_getaffinity(0), os.sched_getscheduler(0))"
    )
    cases = [world.case(["python3", world.write("looks.py", script(looks))], cold=True)]
    laters = []
    for index, harm in enumerate(HARMS):
        harms, after, later = (world.place(f"{name}-{index}") for name in ("harms", "after", "later"))
        harms.write("script.py", script(ATTACKS) + harm)
        for place in (after, later):
            place.write("script.py", script(looks))
        cases += [place.case(["python3", "script.py"]) for place in (harms, after, later)]
        laters.append(later)
    cold, *results = world.play_warm(*cases)
    assert [each[0] for each in results[0::3]] == [0] * len(HARMS), results
    assert [each[:2] for each in results[1::3] + results[2::3]] == [cold[:2]] * 2 * len(HARMS)
    assert all(later.was_forked() for later in laters)


@pytest.mark.parametrize(
    "start",
    [
        "import os\nos.write(3, b's')",
        "import os\nwhile True:\n    os.write(int(sys.argv[1]), b'x')",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)",
    ],
)
def test_packages_that_do_harm_where_they_wait_hold_nothing_up(world: World, start: str) -> None:
    command = ["python3", world.write("runs.py", script("import pack\nprint('ran')"))]
    with world.waiting_with(start):
        results = world.play_warm(world.case(command), world.case(command))
    assert [each[:2] for each in results] == [[0, "ran\n"]] * 2


WAITS = """
import os, pathlib, sys, time
from sluice.containers import processes
from sluice.containers.environments import Python
from sluice.containers.warm import Warm

def states():
    pids = processes._below(os.getpid())
    return [open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] for pid in pids]

processes.shield()
warm = Warm(Python(pathlib.Path(sys.argv[1])), {})
warm._modules.add("pack._speedups")
warm.start()
print(states())
warm.go_on()
assert warm._hears(b"r", 20)
assert states() != ["T"]
warm.start()
print(states())
warm.end()
starts = warm._python.site_packages / "sitecustomize.py"
starts.write_text("import os, time\\nif os.fork() == 0:\\n    time.sleep(600)")
try:
    warm.start()
    warm.go_on()
    while len(states()) < 2:
        time.sleep(0.01)
    warm.start()
finally:
    starts.unlink()
print(states(), warm.pids)
"""


def test_between_jobs_it_stands_still_with_nothing_below_it(world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WAITS, str(world.python.folder)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/layers/common"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("['T']\n['T']\n[] set()\n", "")


KILLED = """
import os, signal, sys
from pathlib import Path
from sluice.containers.environments import Python
from sluice.containers.warm import Warm
warm = Warm(Python(Path(sys.argv[1])), {})
warm._modules.add("logging")
warm.start()
print(*warm.pids, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_ends_while_it_stands_still_if_its_parent_is_killed(world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(world.python.folder)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}/layers/common"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (-9, "")
    deadline = time.monotonic() + 60
    while is_running(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(int(done.stdout))


def is_running(pid: int) -> bool:
    """Tell whether there is such a process, and not only what nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_was_started_by_nobody_does_not_begin(world: World) -> None:
    """The parent may end before its child could ask to end with it."""
    nobody = subprocess.Popen([sys.executable, "-c", ""])
    nobody.wait()
    done = subprocess.run(
        ["echo", "began"], preexec_fn=processes.ends_with(nobody.pid), capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, b"")


def test_children_that_a_fork_leaves_are_ended_and_what_waits_is_spared(world: World) -> None:
    text = """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.close(1), os.close(2)
                time.sleep(600)
            os._exit(0)
        os.wait()
    """
    looks = """
        import os
        def parent(pid):
            return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
        ours = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                ours += [open(f"/proc/{pid}/cmdline").read()] if parent(pid) == os.getppid() else []
            except OSError:
                pass
        print(len(ours), all("warm_interpreter" in line for line in ours))
    """
    cases = (
        world.case(["python3", world.write(f"{n}.py", script(t))]) for n, t in (("a", text), ("b", looks))
    )
    left, looked = world.play_warm(*cases)
    assert left[0] == 0
    # The script itself, and what waits.
    assert looked[:2] == [0, "2 True\n"]


def test_the_peak_is_the_script_s_and_not_that_of_what_waits(world: World) -> None:
    text = "import time\nheld = b'x' * (60 << 20)\ntime.sleep(0.3)"
    command = ["python3", world.write("holds.py", script(text))]
    cold, warm = world.play_warm(world.case(command, cold=True), world.case(command))
    assert 60 <= warm[2] <= cold[2] + 20
