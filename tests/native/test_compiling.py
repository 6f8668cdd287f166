"""C compiled on first use: once, by whatever compiler there is, into the user's own folder; or a line why not."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mlfound.native import compiling

PRINT = "from mlfound.native import compiling; print(compiling.unavailable())"
SMALL = f"from mlfound.native import compiling; from pathlib import Path; compiling.SOURCES = Path('source'); {PRINT}"
needs_compiler = pytest.mark.skipif(compiling.unavailable() is not None, reason="there is no C compiler here")


def started(home, code=SMALL, **environment):
    """A new process with this cache and environment, and less to compile."""
    Path("source").mkdir(exist_ok=True)
    Path("source/library.c").write_text("int answer(void) { return 42; }")
    given = {**os.environ, "XDG_CACHE_HOME": str(home), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def says(home, **environment):
    out, err = started(home, **environment).communicate(timeout=60)
    assert not err
    return out.strip()


def libraries(home):
    return sorted((home / "mlfound" / "native").iterdir())


@needs_compiler
def test_it_is_compiled_once_and_the_folder_is_the_users_own(tmp_path):
    assert says(tmp_path) == "None"
    [library] = libraries(tmp_path)
    assert stat.S_IMODE(library.parent.stat().st_mode) == 0o700
    before = library.stat()
    assert says(tmp_path) == "None"
    assert library.stat() == before


@needs_compiler
@pytest.mark.slow
def test_two_processes_may_compile_at_once(tmp_path):
    both = [started(tmp_path, PRINT) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in both] == ["None"] * 2
    assert [path.suffix for path in libraries(tmp_path)] == [".so"], "nothing else is left behind"


@needs_compiler
@pytest.mark.parametrize("what", ["source", "flag", "compiler", "cpu"])
def test_whatever_changes_has_another_name(monkeypatch, tmp_path, what):
    compiler = compiling.find_compiler()
    before = compiling.identity(compiler)
    if what == "source":
        for path in compiling.SOURCES.glob("*.[ch]"):
            (tmp_path / path.name).write_bytes(path.read_bytes() + b"\n")
        monkeypatch.setattr(compiling, "SOURCES", tmp_path)
    if what == "flag":
        monkeypatch.setattr(compiling, "FLAGS", ("-O2", *compiling.FLAGS[1:]))
    if what == "compiler":
        compiler = [*compiler, "-g"]
    if what == "cpu":
        monkeypatch.setattr(compiling, "cpu", lambda: "another")
    assert compiling.identity(compiler) != before


def test_no_compiler(tmp_path):
    assert says(tmp_path, PATH=str(tmp_path), CC="") == (
        "there is no C compiler (cc, gcc, clang); install one, or set CC"
    )
    assert says(tmp_path, CC="no-such-cc -g") == "CC=no-such-cc -g: there is no such compiler"
    assert says(tmp_path, CC="gcc '") == "CC=gcc ': no closing quotation"


def test_a_compiler_that_fails(tmp_path):
    assert says(tmp_path, CC="false").startswith("false failed to compile: ")
    assert libraries(tmp_path) == []


@needs_compiler
def test_a_source_that_is_no_c_says_where(tmp_path, monkeypatch):
    (tmp_path / "library.c").write_text("int x = ;\n")
    monkeypatch.setattr(compiling, "SOURCES", tmp_path)
    with pytest.raises(compiling.UnavailableError, match=r"failed to compile: .*library\.c:1:9: error"):
        compiling.compile_into(tmp_path / "it.so", compiling.find_compiler())
    assert [path.name for path in tmp_path.iterdir()] == ["library.c"]


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "mlfound").write_text("a file where the folder should be")
    assert "native: cannot be made (" in says(tmp_path)


def test_a_cache_that_others_may_write_to(tmp_path):
    folder = tmp_path / "mlfound" / "native"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert says(tmp_path) == f"{folder}: others may write to it; remove it"


@needs_compiler
@pytest.mark.parametrize("content", [b"", b"no library"])
def test_a_damaged_library_is_compiled_again(tmp_path, content):
    assert says(tmp_path) == "None"
    [library] = libraries(tmp_path)
    library.write_bytes(content)
    assert says(tmp_path) == "None"
    assert library.read_bytes().startswith(b"\x7fELF")


@needs_compiler
@pytest.mark.parametrize("planted", ["writable", "link"])
def test_a_library_that_others_may_have_written_is_not_loaded(tmp_path, planted):
    """It would end the process here, as what somebody else put there could do anything."""
    assert says(tmp_path) == "None"
    [library] = libraries(tmp_path)
    bad = tmp_path / "bad.c"
    bad.write_text("#include <unistd.h>\n__attribute__((constructor)) void planted(void) { _exit(7); }\n")
    command = [*compiling.find_compiler(), "-shared", "-fPIC", "-o", str(tmp_path / "bad.so"), str(bad)]
    subprocess.run(command, check=True)
    library.unlink()
    if planted == "link":
        library.symlink_to(tmp_path / "bad.so")
    else:
        library.write_bytes((tmp_path / "bad.so").read_bytes())
        library.chmod(0o777)
    assert says(tmp_path) == "None"
    assert not library.is_symlink()
    assert stat.S_IMODE(library.stat().st_mode) == 0o700


def test_what_cannot_be_loaded_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(compiling, "safe_folder", lambda: tmp_path)
    monkeypatch.setattr(compiling, "find_compiler", lambda: [sys.executable])
    monkeypatch.setattr(compiling, "compile_into", lambda path, compiler: path.write_bytes(b"no library"))
    outcome = compiling._outcome.__wrapped__()
    assert str(outcome).startswith("the compiled library cannot be loaded: ")
