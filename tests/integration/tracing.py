"""What a run of the program reads, by strace."""
import os
import re
import shutil
import subprocess

import pytest

READS = "read,pread64,readv,preadv,preadv2,mmap,copy_file_range,sendfile,splice"


def trace(waybill, log, *arguments):
    """Runs the program; returns what subprocess.run returns, and the trace of its reads."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    environment = waybill.environment | {  # LeakSanitizer cannot work under strace
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    done = subprocess.run(
        ["strace", "-f", "-y", "-o", log, "-e", "trace=" + READS,
         waybill.program, *map(str, arguments)],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if "ptrace" in done.stderr.lower():
        pytest.skip("strace cannot trace here: " + done.stderr)
    return done, log.read_text(errors="replace")


def files_read(waybill, folder, log, *arguments):
    """Runs the program; returns (what subprocess.run returns, the files beneath the folder that it
    read anything of: {relative path})."""
    done, text = trace(waybill, log, *arguments)
    return done, set(re.findall(r"<%s/([^>]*)>" % re.escape(str(folder)), text))


def bytes_read(waybill, folder, log, *arguments):
    """The same, with how many bytes of each: {relative path: bytes}."""
    done, text = trace(waybill, log, *arguments)
    counts, unfinished = {}, {}
    for line in text.splitlines():
        thread = line.split(maxsplit=1)[0]
        named = re.search(r"<%s/([^>]*)>" % re.escape(str(folder)), line)
        path = named[1] if named else unfinished.pop(thread, None) if " resumed>" in line else None
        if path and line.endswith("<unfinished ...>"):
            unfinished[thread] = path
        elif path:
            assert "mmap(" not in line, "how much of a mapping is read cannot be told"
            counts[path] = counts.get(path, 0) + max(0, int(line.rsplit("= ", 1)[1].split()[0]))
    return done, counts


def large_files_read(waybill, folder, log, *arguments):
    """The same without config.json and what is small enough to be a Git LFS pointer: both are looked
    at by every check."""
    done, read = files_read(waybill, folder, log, *arguments)
    assert "model/config.json" in read, "the trace shows nothing of the package"
    return done, {path for path in read if (folder / path).stat().st_size >= 1024}
