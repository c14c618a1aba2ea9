"""What a run of the program reads, by strace."""
import os
import re
import shutil
import subprocess

import pytest

READS = "read,pread64,readv,preadv,preadv2,mmap,copy_file_range,sendfile,splice"


def files_read(waybill, folder, log, *arguments):
    """Runs the program; returns (what subprocess.run returns, the files beneath the folder that it
    read anything of: {relative path})."""
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
    text = log.read_text(errors="replace")
    return done, set(re.findall(r"<%s/([^>]*)>" % re.escape(str(folder)), text))


def large_files_read(waybill, folder, log, *arguments):
    """The same without config.json and what is small enough to be a Git LFS pointer: both are looked
    at by every check."""
    done, read = files_read(waybill, folder, log, *arguments)
    assert "model/config.json" in read, "the trace shows nothing of the package"
    return done, {path for path in read if (folder / path).stat().st_size >= 1024}
