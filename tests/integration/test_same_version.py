"""A version that is there already, imported again: of the same content, or of other content."""
import os
import shutil
import signal

import pytest

from attempts import SOUND, attempt, models, state, write_at
from conftest import Waybill, finish, make_scratch
from oci_layout import host_platform, make_base
from wholeness import assert_store, index_of

MIB = 1 << 20
SLOW = {"model/weights.bin": 800 * MIB}  # sparse: long enough to be interfered with
OTHER = "linux/s390x" if host_platform() != "linux/s390x" else "linux/riscv64"


@pytest.fixture
def waybill(tmp_path_factory):
    where = make_scratch(tmp_path_factory, "same-version", 2 << 30)
    yield Waybill(where / "data")
    shutil.rmtree(where)


@pytest.fixture
def version(ready, package):
    """An imported version 1.2.3: (its package, a function that imports that package again)."""
    source = package({"model/large.bin": 80 * MIB, "model/deep/small.txt": "small"})
    ready.run("import", source, "--name", "m", "--version", "1.2.3", check=True)

    def again(*arguments, what=source):
        return ready.run("import", what, "--name", "m", "--version", "1.2.3", *arguments)
    return source, again


def test_equal_content_imported_again_is_a_success_and_changes_nothing(ready, version):
    _, again = version
    before = state(ready)
    for _ in range(2):
        result = again()
        assert (result.returncode, result.stderr) == (0, ""), str(result)
        assert result.stdout == "m:1.2.3 unchanged: imported already, of the same content\n"
    assert again("--if-exists", "same", "--lang", "zh").stdout.startswith("m:1.2.3 未变化")
    assert again("--if-exists", "retry").returncode == 0
    assert again("--quiet").stdout == ""
    assert again("--json").events == before[0][-1:], "the event that closed its attempt"
    assert state(ready) == before


def test_equal_content_is_told_by_its_bytes_not_by_its_times(ready, version, tmp_path):
    """Another checkout: other inodes and times."""
    source, again = version
    before = state(ready)
    shutil.copytree(source, tmp_path / "checkout", copy_function=shutil.copyfile)
    assert "unchanged" in again(what=tmp_path / "checkout").stdout
    assert state(ready) == before


OTHER_CONTENT = [
    ("weights.bin", lambda model: (model / "weights.bin").write_text("WEIGHTS"),
     ["model/weights.bin: other content"]),
    ("a large file", lambda model: write_at(model / "large.bin", 50 * MIB, b"x"),
     ["model/large.bin: other content"]),
    ("a size", lambda model: (model / "weights.bin").write_text("more"),
     ["model/weights.bin: 4 bytes, was 7"]),
    ("gone", lambda model: (model / "deep/small.txt").unlink(),
     ["model/deep/small.txt: is not there any more"]),
    ("new", lambda model: (model / "more.txt").write_text("more"), ["model/more.txt: was not there"]),
    ("renamed", lambda model: (model / "large.bin").rename(model / "other.bin"),
     ["model/large.bin: is not there any more", "model/other.bin: was not there"]),
    ("both", lambda model: [(model / "weights.bin").write_text("WEIGHTS"),
                            (model / "deep/small.txt").unlink()],
     ["model/deep/small.txt: is not there any more", "model/weights.bin: other content"]),
    ("config", lambda model: (model / "config.json").write_text(
        '{\n  "model_algorithm": "other",\n  "model_type": "Custom"\n}\n'),
     ['model/config.json line 2: "model_algorithm": "other",, was "model_algorithm": "test",']),
]


@pytest.mark.parametrize("change, lines", [row[1:] for row in OTHER_CONTENT],
                         ids=[row[0] for row in OTHER_CONTENT])
@pytest.mark.parametrize("exists", [[], ["--if-exists", "fail"]], ids=["same", "fail"])
def test_other_content_is_refused_with_what_differs(ready, version, change, lines, exists):
    source, again = version
    before = state(ready)
    change(source / "model")
    taken = again("--json", *exists)
    assert (taken.returncode, taken.stdout) == (2, ""), str(taken)
    assert "version 1.2.3 of m is taken" in taken.stderr and "--version" in taken.stderr
    if not exists:
        assert taken.stderr.splitlines()[1:-2] == ["  " + line for line in lines], str(taken)
    assert state(ready) == before


def test_other_options_are_other_content(ready, version, base_layout, tmp_path):
    _, again = version
    assert "  description: mine, was none\n" in again("--description", "mine").stderr
    config = tmp_path / "config.json"
    config.write_text('{"model_algorithm": "test", "model_type": "PyTorch"}')
    taken = again("--config", config)
    assert taken.returncode == 2 and "model type: PyTorch, was Custom" in taken.stderr, str(taken)
    make_base(tmp_path / "base", platforms=[OTHER])
    ready.run("--set", "image.platform=" + OTHER, "runtime", "add", "base", "--image",
              f"oci:{tmp_path}/base:latest", check=True)
    assert "  base image: sha256:" in again().stderr
    ready.run("runtime", "add", "second", "--image", f"oci:{base_layout}:latest", check=True)
    assert "  runtime: second, was base\n" in again("--runtime", "second").stderr


def test_many_other_files_are_counted(ready, package):
    many = {f"model/{number}.txt": "old" for number in range(20)}
    source = package(many)
    ready.run("import", source, "--name", "m", "--version", "1.0.0", check=True)
    for path in many:
        (source / path).write_text("new")
    taken = ready.run("import", source, "--name", "m", "--version", "1.0.0")
    assert taken.stderr.count("other content\n") == 5 and "and 15 more files\n" in taken.stderr


def test_broken_package_is_other_content_too(ready, version):
    source, again = version
    (source / "model/config.json").write_text("{")
    taken = again()
    assert taken.returncode == 2 and "model/config.json" in taken.stderr, str(taken)
    shutil.rmtree(source / "model")
    assert "is not there any more" in again().stderr


def test_custom_image_imported_again(ready, tmp_path):
    make_base(tmp_path / "image")
    again = ["import", f"oci:{tmp_path}/image:latest", "--type", "Image", "--name", "m",
             "--version", "1.0.0"]
    ready.run(*again, check=True)
    assert "unchanged" in ready.run(*again, check=True).stdout
    shutil.rmtree(tmp_path / "image")
    make_base(tmp_path / "image", platforms=[OTHER])
    taken = ready.run(*again, "--platform", OTHER)
    assert taken.returncode == 2 and "  image: sha256:" in taken.stderr, str(taken)


def test_if_exists_fail_takes_only_what_is_new(ready, package):
    source = package(config={"model_type": "Nonsense"})
    assert ready.run("import", source, "--name", "m", "--if-exists", "fail").returncode == 1
    refused = ready.run("import", source, "--name", "m", "--if-exists", "fail")
    assert refused.returncode == 2 and "its status is failed" in refused.stderr, str(refused)
    assert models(ready)[0]["attempt"] == 1
    ready.run("import", package(name="other"), "--name", "m", "--version", "2.0.0",
              "--if-exists", "fail", check=True)
    ready.run("import", package(name="other"), "--name", "m", "--if-exists", "fail", check=True)
    assert [model["model_version"] for model in models(ready)] == ["0.0.1", "2.0.0", "2.0.1"]


@pytest.mark.parametrize("exists", ["same", "retry"])
def test_failed_version_is_used_again(ready, package, exists):
    source = package(config={"model_type": "Nonsense"})
    again = ["import", source, "--name", "m", "--version", "1.0.0", "--if-exists", exists]
    assert ready.run(*again).returncode == 1
    (source / "model/config.json").write_text('{"model_algorithm": "t", "model_type": "Custom"}')
    ready.run(*again, check=True)
    assert attempt(ready, 2) == SOUND


def test_if_exists_retry_imports_other_content_into_the_version(ready, version):
    source, again = version
    (source / "model/weights.bin").write_text("other")
    replaced = again("--if-exists", "retry")
    assert replaced.returncode == 0, str(replaced)
    assert attempt(ready, 2) == ["ImportStarted", "SourceChanged", *SOUND[1:]]
    assert [(model["model_version"], model["model_status"]) for model in models(ready)] == \
        [("1.2.3", "published")]
    assert "unchanged" in again().stdout
    (source / "model/config.json").write_text("{")
    assert again("--if-exists", "retry").returncode == 1
    assert models(ready)[0]["model_status"] == "building_failed"
    assert "default/m:1.2.3" in index_of(ready.data), "what it held before is still there"
    ready.run("gc", check=True)
    assert_store(ready)


def test_if_exists_knows_three_words(waybill, package):
    refused = waybill.run("import", package(), "--if-exists", "replace")
    assert refused.returncode == 2 and "same, fail or retry" in refused.stderr, str(refused)


def is_open(process, name):
    where = f"/proc/{process.pid}/fd"
    for number in os.listdir(where):
        try:
            if os.readlink(f"{where}/{number}").endswith(name):
                return True
        except FileNotFoundError:
            pass
    return False


def test_ctrl_c_ends_the_comparison(ready, package):
    source = package(SLOW)
    ready.run("import", source, "--name", "m", "--version", "1.0.0", check=True)
    os.utime(source / "model/weights.bin", (1000000000, 1000000000))  # so that it is read again
    process = ready.start("import", source, "--name", "m", "--version", "1.0.0")
    while not is_open(process, "weights.bin"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    status, _, stderr = finish(process)
    assert status == 130 and "m:1.0.0 stays as it was" in stderr, stderr
