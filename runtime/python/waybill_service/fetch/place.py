"""The model directory, as the place that the files are written to. Nothing in it leads out of it: a
symbolic link among a file's folders is an error, one in a file's own place is replaced."""
import contextlib
import errno
import fcntl
import hashlib
import os
import stat

from waybill_service.fetch.failure import NoRoom, Unfetched
from waybill_service.fetch.listing import PART_PREFIX

CHUNK = 1 << 20
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def split(path):
    """(folder, name)"""
    folder, _, name = path.rpartition("/")
    return folder, name


class Place:
    def __init__(self, directory):
        self.directory = directory

    def free(self):
        """Bytes."""
        found = os.statvfs(self.directory)
        return found.f_bavail * found.f_frsize

    def failure(self, error, path, needed=0):
        """The Failure that an exception while writing is."""
        if error.errno in NO_ROOM:
            return NoRoom("no space left for %s in %s: %d bytes are needed, %d are free; give the "
                          "container a larger disk or volume"
                          % (path, self.directory, needed, self.free()))
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return Unfetched("%s in %s cannot be written by uid %d: %s; mount a volume there that "
                             "it may write"
                             % (path, self.directory, os.geteuid(), error.strerror), False)
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR):
            return Unfetched("%s in %s is in the way of a file: %s"
                             % (path, self.directory, error.strerror), False)
        return Unfetched("writing %s in %s failed: %s"
                         % (path, self.directory, error.strerror), True)

    def make(self):
        try:
            os.makedirs(self.directory, exist_ok=True)
        except OSError as error:
            raise self.failure(error, "the model directory") from None

    def open_folder(self, folder, make=False):
        """A descriptor. FileNotFoundError: there is none."""
        at = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in folder.split("/") if folder else []:
            try:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=at)
                below = os.open(part, FOLDER, dir_fd=at)
            finally:
                os.close(at)
            at = below
        return at

    def open_file(self, path):
        """A descriptor of the regular file there, or None."""
        folder, name = split(path)
        try:
            at = self.open_folder(folder)
            try:
                descriptor = os.open(name, FILE, dir_fd=at)
            finally:
                os.close(at)
        except OSError:
            return None
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        return None

    def has_size(self, file):
        descriptor = self.open_file(file.path)
        if descriptor is None:
            return False
        try:
            return os.fstat(descriptor).st_size == file.size
        finally:
            os.close(descriptor)

    def holds(self, file, note):
        """Whether the file is there, by its size and digest. note(count): bytes that were read."""
        if not self.has_size(file):
            return False
        descriptor, found = self.open_file(file.path), hashlib.sha256()
        if descriptor is None:
            return False
        try:
            while data := os.read(descriptor, CHUNK):
                found.update(data)
                note(len(data))
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return found.hexdigest() == file.hex

    def part_bytes(self, file):
        """On the disk of the file on its way."""
        folder, _ = split(file.path)
        with contextlib.suppress(OSError):
            at = self.open_folder(folder)
            try:
                return min(file.size, 512 * os.stat(PART_PREFIX + file.hex, dir_fd=at,
                                                    follow_symlinks=False).st_blocks)
            finally:
                os.close(at)
        return 0

    def sweep(self, files, done=False):
        """Removes what is left of files on their way: of those that are not listed, when done of
        all."""
        expected = {}
        for file in files:
            names = expected.setdefault(split(file.path)[0], set())
            if not done:
                names.add(PART_PREFIX + file.hex)
        for folder, names in expected.items():
            with contextlib.suppress(OSError):
                at = self.open_folder(folder)
                try:
                    for name in os.listdir(at):
                        ours = name.startswith(PART_PREFIX)
                        if ours and name[:len(PART_PREFIX) + 64] not in names:
                            os.unlink(name, dir_fd=at)
                finally:
                    os.close(at)

    def lock(self):
        """A descriptor that keeps other services from fetching into the same directory, while it is
        open; None: one does. Where there are no locks there are none."""
        at = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(at, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(at)
            return None
        except OSError:
            pass
        return at
