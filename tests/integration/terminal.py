"""Runs a command on a pseudo-terminal, and measures what it prints as a terminal shows it."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import unicodedata

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def width(text):
    """Columns: wide and full-width characters take two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else
               2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def shown_lines(output):
    """The lines that stay on the screen: without colours, a redrawn line as it was last."""
    lines = output.replace("\r\n", "\n").split("\n")
    return [ESCAPE.sub("", line).split("\r")[-1] for line in lines]


def take_terminal(slave):
    """Makes it the controlling terminal and the standard streams of this process."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for descriptor in range(3):
        os.dup2(slave, descriptor)


def read_to_the_end(master, child):
    """(wait status, output). Our side of the slave stays open: when the last one is closed, what was
    not read yet may be lost."""
    output, status = b"", None
    while True:
        if select.select([master], [], [], 0.02)[0]:
            output += os.read(master, 65536)
        elif status is not None:
            return status, output
        elif (done := os.waitpid(child, os.WNOHANG))[0]:
            status = done[1]


def run_on_terminal(command, environment, columns=80, seconds=60):
    """(exit status, output). The window has its size before the command begins."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = os.fork()
    if child == 0:
        try:
            take_terminal(slave)
            signal.alarm(seconds)
            os.execve(command[0], command, environment)
        finally:
            os._exit(127)
    try:
        status, output = read_to_the_end(master, child)
    finally:
        os.close(slave)
        os.close(master)
    return os.waitstatus_to_exitcode(status), output.decode()
