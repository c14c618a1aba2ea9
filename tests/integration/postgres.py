"""A real PostgreSQL server of a test's own, on a socket in its directory: no port is taken from others."""
import contextlib
import glob
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest

PROGRAMS = max(glob.glob("/usr/lib/postgresql/*/bin"), default="")  # scripts/setup installs them
WHO = "postgres"  # who installed it made this user; the server refuses to run as root


class Postgres:
    def __init__(self, durable=False, port=None):
        self.durable = durable  # what survives a crash of the machine is no test's question
        self.port = port  # of loopback, where it is to listen there, too
        self.where = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # sockets want a short path
        if os.geteuid() == 0:
            shutil.chown(self.where, WHO)
        self.run("initdb", "-D", self.where / "data", "-A", "trust", "-U", WHO, "--locale", "C", "-N")
        self.start()

    def run(self, program, *arguments, timeout=60):
        command = [f"{PROGRAMS}/{program}", *map(str, arguments)]
        who = {"user": WHO, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.where, timeout=timeout, **who)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def start(self):
        listen = f"127.0.0.1 -c port={self.port}" if self.port else ""
        options = f"-c listen_addresses={listen} -c unix_socket_directories={self.where} -c max_connections=200"
        options += "" if self.durable else " -c fsync=off"
        self.run("pg_ctl", "-D", self.where / "data", "-w", "-l", self.where / "log", "-o", options, "start")

    def stop(self, mode="immediate"):
        self.run("pg_ctl", "-D", self.where / "data", "-w", "-m", mode, "stop")

    def remove(self):
        try:
            if (self.where / "data/postmaster.pid").exists():
                self.stop()
        finally:
            shutil.rmtree(self.where, ignore_errors=True)

    def url(self, database):
        port = f":{self.port}" if self.port else ""
        return f"postgresql://{WHO}@{quote(str(self.where), safe='')}{port}/{database}"

    def ask(self, database, sql):
        """Its rows, as psql writes them."""
        return self.run("psql", "-AtX", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), "-c", sql).splitlines()

    def create(self, locale="C"):
        """The address of a new database."""
        name = "w" + uuid.uuid4().hex
        self.ask("postgres", f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE '{locale}'")
        return self.url(name)

    def of(self, url, sql):
        return self.ask(url.rsplit("/", 1)[1], sql)


@contextlib.contextmanager
def running():
    server = Postgres()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_server():
    with running() as server:
        yield server


@pytest.fixture
def postgres():
    """One that a test may stop."""
    with running() as server:
        yield server


@pytest.fixture
def database(postgres_server):
    """The address of an empty database."""
    return postgres_server.create()
