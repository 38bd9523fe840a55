"""A project is packed the same way each time, and unpacked without trust."""

import gzip
import io
import string
import tarfile
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.domain.build import package_lists, projects
from sluice.domain.build.projects import ProjectError
from sluice.domain.config import ConfigError

SCRIPTS = ("prepare", "train", "evaluate", "inference")
LETTERS = f"{string.ascii_letters}{string.digits}_. é-"
# A text is one choice of hypothesis; a regular expression's match is one for each letter.
PART = st.text(LETTERS, min_size=1, max_size=21).filter(lambda part: not part.startswith("."))


def fit_a_folder(paths: Iterable[str]) -> bool:
    """Whether a file system can hold the files: none is a folder that others lie in."""
    known = set(paths)
    return not any(str(parent) in known for path in known for parent in PurePosixPath(path).parents)


FILES = st.dictionaries(
    st.lists(PART, min_size=1, max_size=4).map("/".join), st.binary(max_size=200), max_size=8
).filter(fit_a_folder)


@pytest.fixture
def files(config_text: str) -> dict[str, bytes]:
    scripts = {f"src/{name}.py": b"print()" for name in SCRIPTS}
    return {"pipeline.yaml": config_text.encode(), "sample.json": b"{}", "src/pkg/util.py": b"", **scripts}


def archive(
    *members: tuple[str, bytes], kinds: dict[str, bytes] | None = None, mode: Literal["w", "w:gz"] = "w:gz"
) -> bytes:
    """A tar.gz of `(name, content)` members; `kinds` maps names to a type other than a file's."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode=mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.type = (kinds or {}).get(name, tarfile.REGTYPE)
            info.linkname = "" if info.isreg() else "/etc/passwd"
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


NO_ARCHIVES = [
    b"",
    b"plain",
    gzip.compress(b"no tar" * 200),
    archive(("a", b"1" * 5000))[:-20],
    archive(("a", b""), mode="w"),
]


@given(FILES)
def test_what_is_packed_is_unpacked(files: dict[str, bytes]) -> None:
    assert projects.unpack(projects.pack(files)) == files


@given(FILES)
def test_the_order_of_files_changes_neither_the_bundle_nor_the_version(files: dict[str, bytes]) -> None:
    reordered = dict(reversed(files.items()))
    assert projects.pack(reordered) == projects.pack(files)
    assert projects.version(reordered) == projects.version(files)


@given(FILES, PART, st.binary(max_size=20))
def test_any_change_of_content_changes_the_version(
    files: dict[str, bytes], path: str, content: bytes
) -> None:
    changed = {**files, path: content}
    assert (projects.version(changed) == projects.version(files)) is (changed == files)


def test_a_bundle_carries_no_times_and_no_owners() -> None:
    data = projects.pack({"a": b"1"})
    assert data[4:8] == bytes(4)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        (member,) = tar.getmembers()
    assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


@pytest.mark.parametrize(
    ("path", "is_read"),
    [("README.md", False), ("docs/notes.md", False), ("src/README.md", True), ("src/train.py", True)],
)
def test_the_content_of_a_project_is_what_its_runs_read(
    files: dict[str, bytes], path: str, is_read: bool
) -> None:
    before = projects.load_project(files).content
    assert (projects.load_project({**files, path: b"# other"}).content != before) is is_read


def test_a_comment_in_pipeline_yaml_is_no_content_and_a_value_and_the_sample_are(
    files: dict[str, bytes],
) -> None:
    text, project = files["pipeline.yaml"], projects.load_project(files)
    assert projects.load_project({**files, "pipeline.yaml": text + b"\n# why\n"}).content == project.content
    for path, data in (
        ("pipeline.yaml", text.replace(b"daily_budget: 10", b"daily_budget: 11")),
        (project.config.serve.sample, b"[]"),
    ):
        assert projects.load_project({**files, path: data}).content != project.content


def test_a_readme_beside_scripts_at_the_root_is_no_content(files: dict[str, bytes]) -> None:
    at_root = {path.removeprefix("src/"): data for path, data in files.items()}
    at_root["pipeline.yaml"] = files["pipeline.yaml"].replace(b"src/", b"")
    before = projects.load_project(at_root)
    assert projects.load_project({**at_root, "README.md": b"x"}).content == before.content
    assert projects.load_project({**at_root, "words.txt": b"x"}).content != before.content


def test_a_project_is_loaded_with_its_version(files: dict[str, bytes]) -> None:
    project = projects.load_project(files)
    assert project.config.name == "reviews-sentiment"
    assert project.source_dir == "src"
    assert len(project.version) == 64
    assert not project.has_requirements


def test_the_sourcedir_has_the_script_folder_at_its_root(files: dict[str, bytes]) -> None:
    project = projects.load_project(files)
    scripts = {"pkg/util.py", *(f"{s}.py" for s in SCRIPTS)}
    assert set(projects.unpack(projects.sourcedir(project))) == {*scripts, package_lists.PROGRAM}
    assert project.train_program == package_lists.PROGRAM


def test_a_file_that_is_called_as_our_program_stays_the_users(files: dict[str, bytes]) -> None:
    project = projects.load_project({**files, f"src/{package_lists.PROGRAM}": b"own"})
    assert projects.unpack(projects.sourcedir(project))[package_lists.PROGRAM] == b"own"
    assert project.train_program is None


def test_scripts_may_lie_at_the_root(files: dict[str, bytes], config_text: str) -> None:
    flat = {path.removeprefix("src/"): data for path, data in files.items()}
    flat["pipeline.yaml"] = config_text.replace("src/", "").encode()
    project = projects.load_project(flat)
    assert project.source_dir == ""
    assert project.source_files == flat


@pytest.mark.parametrize(
    ("content", "needed"),
    [
        (b"", False),
        (b"# none\n\n", False),
        (b"# one\nlightgbm==4\n", True),
        ("\ufeff# none\r\n".encode("utf-16-le"), False),
        ("\ufefflightgbm==4\r\n".encode("utf-16-be"), True),
        ("\ufeff# none\n".encode(), False),
        ("# coding: latin-1\n# für alle\n".encode("latin-1"), False),
    ],
)
def test_only_a_requirement_that_names_a_package_counts(
    files: dict[str, bytes], content: bytes, needed: bool
) -> None:
    assert projects.load_project({**files, "src/requirements.txt": content}).has_requirements is needed


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("six  # für alle\n".encode("latin-1"), "byte 8 is no UTF-8 text"),
        ("six\n".encode("utf-16")[:-1], "is no UTF-16-LE text"),
        ("six\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (b"# coding: klingon\nsix\n", "'klingon', which is none"),
    ],
)
def test_requirements_that_pip_could_not_read_are_refused(
    files: dict[str, bytes], content: bytes, reason: str
) -> None:
    with pytest.raises(ProjectError, match=reason) as caught:
        projects.load_project({**files, "src/requirements.txt": content})
    assert str(caught.value).startswith("src/requirements.txt cannot be read: ")


def test_every_missing_script_and_sample_is_named_with_the_nearest_file(files: dict[str, bytes]) -> None:
    files["src/trian.py"] = files.pop("src/train.py")
    del files["sample.json"]
    with pytest.raises(ProjectError) as caught:
        projects.load_project(files)
    train, sample = caught.value.reasons
    assert (
        train
        == "train.script names 'src/train.py', which is not in the project; did you mean 'src/trian.py'?"
    )
    assert sample.startswith("serve.sample names 'sample.json', which is not in the project")


def test_a_project_needs_its_config(files: dict[str, bytes]) -> None:
    del files["pipeline.yaml"]
    with pytest.raises(ProjectError, match=r"no pipeline\.yaml"):
        projects.load_project(files)


def test_a_config_must_be_utf8_but_may_have_a_byte_order_mark(files: dict[str, bytes]) -> None:
    assert projects.load_project({**files, "pipeline.yaml": b"\xef\xbb\xbf" + files["pipeline.yaml"]})
    with pytest.raises(ProjectError, match="no UTF-8 text: byte 0"):
        projects.load_project({**files, "pipeline.yaml": b"\xff"})


def test_a_wrong_config_is_refused_with_its_problems(files: dict[str, bytes]) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        projects.load_project({**files, "pipeline.yaml": b"name: ab"})


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "a\\b", "a\nb", ".", ".."],
)
def test_a_path_that_leaves_the_project_is_refused(name: str) -> None:
    with pytest.raises(ProjectError, match="no path inside a project"):
        projects.unpack(archive((name, b"x")))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(kind: bytes) -> None:
    with pytest.raises(ProjectError, match="no plain file"):
        projects.unpack(archive(("x", b""), kinds={"x": kind}))


def test_folders_are_passed_over_and_a_leading_dot_is_dropped() -> None:
    data = archive(("src", b""), ("./src/a.py", b"1"), kinds={"src": tarfile.DIRTYPE})
    assert projects.unpack(data) == {"src/a.py": b"1"}


def test_a_file_given_twice_is_refused() -> None:
    with pytest.raises(ProjectError, match="'a' twice"):
        projects.unpack(archive(("a", b"1"), ("./a", b"2")))


def test_a_bundle_that_unpacks_to_too_much_is_refused_before_it_does() -> None:
    bomb = gzip.compress(bytes(projects.MAX_TOTAL_BYTES * 2))
    with pytest.raises(ProjectError, match="unpacks to more than"):
        projects.unpack(bomb)


@pytest.mark.parametrize("data", NO_ARCHIVES, ids=range(len(NO_ARCHIVES)))
def test_what_is_no_whole_tar_gz_is_refused(data: bytes) -> None:
    with pytest.raises(ProjectError, match=r"no readable tar\.gz"):
        projects.unpack(data)


@given(st.binary())
def test_no_bytes_do_worse_than_a_project_error(data: bytes) -> None:
    with pytest.raises(ProjectError):
        projects.unpack(data)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"big.csv": projects.MAX_FILE_BYTES + 1}, r"big\.csv has .* upload data instead"),
        ({f"{i}": 1 for i in range(projects.MAX_FILES + 1)}, "there are 1001 files"),
        ({f"{i}": projects.MAX_FILE_BYTES for i in range(6)}, "the files have"),
    ],
)
def test_what_is_too_large_for_a_project_is_refused(sizes: dict[str, int], said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        projects.check_sizes(sizes)


def test_too_large_a_file_is_refused_wherever_it_comes_from() -> None:
    big = {"big": bytes(projects.MAX_FILE_BYTES + 1)}
    with pytest.raises(ProjectError, match="big has"):
        projects.load_project(big)
    with pytest.raises(ProjectError, match="big has"):
        projects.unpack(projects.pack(big))


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("pipeline.yaml", False),
        ("src/data.py", False),
        ("src/data/words.txt", False),
        ("src/env/__init__.py", False),
        ("env/gym.py", False),
        ("venv/notes.py", False),
        ("build/make.py", False),
        ("dist/wheel.whl", False),
        ("data/loader.py", False),
        ("data/__init__.py", False),
        ("data/part-1.csv", True),
        ("data/2026/part-1.csv", True),
        (".git/config", True),
        ("src/.env", True),
        ("src/__pycache__/a.pyc", True),
        ("a.pyc", True),
        ("node_modules/a/index.js", True),
        ("x.egg-info/PKG-INFO", True),
        ("notes.txt~", True),
    ],
)
def test_a_push_leaves_out_what_is_no_part_of_the_project(path: str, left_out: bool) -> None:
    assert (path in projects.left_out([path, "src/train.py"])) is left_out


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta/history"])
def test_an_environment_is_known_by_what_it_holds_whatever_its_name(mark: str) -> None:
    paths = [f"tools/mine/{mark}", "tools/mine/lib/x.py", "tools/mine2/x.py", "env/x.py"]
    found = projects.left_out(paths)
    assert found == dict.fromkeys(paths[:2], projects.LeftOut("tools/mine/", "a virtual environment"))


@pytest.mark.parametrize("folder", ["validation/", "checks/today/", ""])
def test_reports_of_data_are_known_by_lying_together_and_are_not_pushed(folder: str) -> None:
    written = [f"{folder}{name}" for name in ("report.json", "report.html", "rows.json", "profile.json")]
    found = projects.left_out([*written, f"{folder}notes.md", "src/train.py", "src/profile.json"])
    assert list(found) == written
    assert {each.why for each in found.values()} == {"reports of data"}
    assert projects.left_out([f"{folder}report.json", f"{folder}profile.json"]) == {}


def test_the_project_itself_is_no_environment() -> None:
    assert projects.left_out(["pyvenv.cfg", "train.py"]) == {}


def test_a_config_larger_than_the_catalogs_items_is_refused(files: dict[str, bytes]) -> None:
    # Its characters are within the limit of the text; each of a name has three bytes.
    more = "".join(f"    {'柱' * 150}{index}: {{type: number}}\n" for index in range(1000))
    wide = files["pipeline.yaml"].replace(b"  schema:\n", f"  schema:\n{more}".encode())
    with pytest.raises(ProjectError, match="bytes as it is stored, at most 380000"):
        projects.load_project(files | {"pipeline.yaml": wide})


def named(name: bytes) -> bytes:
    """A bundle with a member of a name in bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", encoding="utf-8", errors="surrogateescape") as tar:
        tar.addfile(tarfile.TarInfo(name.decode("utf-8", "surrogateescape")), io.BytesIO(b""))
    return raw.getvalue()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"src/\xff\xfe.py", r"'src/\\udcff\\udcfe.py' is not UTF-8"),
        (b"/etc/passwd", "no path inside a project"),
        (b"src/" + b"x" * 900 + b".py", "has 907 bytes, at most 800"),
    ],
)
def test_a_name_that_no_key_can_be_is_refused_by_name(name: bytes, said: str) -> None:
    with pytest.raises(ProjectError, match=said) as refused:
        projects.unpack(named(name))
    str(refused.value).encode()


def test_a_file_in_a_file_is_refused_by_name() -> None:
    with pytest.raises(ProjectError, match=r"src/a/b.py lies in src/a, which is a file"):
        projects.unpack(projects.pack({"src/a": b"", "src/a/b.py": b""}))


@given(st.binary(min_size=1, max_size=30), st.integers(0, 1023))
def test_a_damaged_bundle_is_read_or_refused_in_a_sentence(damage: bytes, at: int) -> None:
    raw = bytearray(gzip.decompress(projects.pack({"a.py": b"1" * 600, "é" * 120: b""})))
    raw[at : at + len(damage)] = damage
    try:
        files = projects.unpack(gzip.compress(bytes(raw)))
    except ProjectError as refused:
        str(refused).encode()
    else:
        projects.version(files)


def test_a_bundle_that_no_project_fills_is_refused_by_its_size_alone() -> None:
    projects.check_bundle_size(projects.MAX_TOTAL_BYTES)
    with pytest.raises(ProjectError, match="the bundle has 999999999999 bytes"):
        projects.check_bundle_size(999_999_999_999)


def test_lambda_is_refused_where_packages_cannot_be_had_there(files: dict[str, bytes]) -> None:
    text = files["pipeline.yaml"].decode()
    named = text.replace("instance_count: 1, volume_gb", "backend: lambda, volume_gb", 1)
    files |= {"src/requirements.txt": b"tabulate==0.9.0\n-e .\n"}
    (warning,) = projects.off_lambda(projects.load_project(files))  # where auto chooses, SageMaker can
    assert warning == (
        "requirements.txt has '-e .', and Lambda gets wheels of a package index alone: "
        "the jobs run on SageMaker, which takes minutes to start each"
    )
    files["pipeline.yaml"] = named.encode()
    with pytest.raises(
        ProjectError, match=r"train\.compute\.backend is lambda, and requirements\.txt has '-e"
    ):
        projects.load_project(files)
    files["src/requirements.txt"] = b"tabulate==0.9.0\n"
    assert projects.off_lambda(projects.load_project(files)) == []


def test_of_a_custom_image_nobody_knows_whether_lambda_could_run_it(files: dict[str, bytes]) -> None:
    text = (
        files["pipeline.yaml"]
        .decode()
        .replace('framework: {name: scikit-learn, version: "1.4-2"}', "image: registry.example/ours:1")
    )
    files["pipeline.yaml"] = text.encode()
    (warning,) = projects.off_lambda(projects.load_project(files))
    assert warning.startswith("what the custom image holds is not known: the jobs run on SageMaker")


def test_requirements_and_a_job_without_a_network_are_refused(files: dict[str, bytes]) -> None:
    text = (
        files["pipeline.yaml"]
        .decode()
        .replace("instance_count: 1,", "instance_count: 1, isolation: true,", 1)
    )
    files["pipeline.yaml"] = text.encode()
    assert projects.load_project(files)
    with pytest.raises(ProjectError, match="cannot be installed without a network: take compute"):
        projects.load_project({**files, "src/requirements.txt": b"tabulate==0.9.0\n"})


def test_a_project_whose_script_should_capture_has_one_that_knows_where(
    files: dict[str, bytes], config_text: str
) -> None:
    files["pipeline.yaml"] = f"{config_text}\nmonitor: {{capture: script}}\n".encode()
    with pytest.raises(ProjectError, match="no script reads SLUICE_CAPTURE_URI"):
        projects.load_project(files)
    files["src/capturing.py"] = b'import os; os.environ["SLUICE_CAPTURE_URI"]'
    assert projects.load_project(files).config.monitor
