"""A mounted directory: the files at their paths, or blobs/sha256/HEX as in an OCI layout."""
import os
import stat

from waybill_service.fetch.failure import Refused, Trouble

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class FileStream:
    def __init__(self, descriptor, name, begin, end):
        self.descriptor, self.name, self.begin, self.end = descriptor, name, begin, end
        self.at = begin

    def read(self, most):
        try:
            data = os.pread(self.descriptor, min(most, self.end - self.at), self.at)
        except OSError as error:
            raise Trouble("reading from %s failed: %s" % (self.name, error.strerror)) from None
        self.at += len(data)
        return data

    def close(self):
        os.close(self.descriptor)


class DirectorySource:
    def __init__(self, path):
        self.path = self.name = path

    def _open(self, path):
        """A descriptor of a regular file in the directory. Links are followed while they stay in
        it: what was opened is looked at, so nobody can exchange it in between."""
        descriptor = os.open(os.path.join(self.path, path), READ)
        try:
            root = os.path.realpath(self.path).rstrip("/") + "/"
            if not os.readlink("/proc/self/fd/%d" % descriptor).startswith(root):
                raise Refused("%s in %s is a link that leads out of it, which is not followed"
                              % (path, self.path))
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Refused("%s in %s is no regular file" % (path, self.path))
            return descriptor
        except BaseException:
            os.close(descriptor)
            raise

    def _open_sized(self, path, file):
        try:
            descriptor = self._open(path)
        except (FileNotFoundError, NotADirectoryError):
            return None, "not there"
        except PermissionError:
            return None, "not readable for uid %d" % os.geteuid()
        except OSError as error:
            raise Trouble("%s in %s could not be opened: %s"
                          % (path, self.path, error.strerror)) from None
        size = os.fstat(descriptor).st_size
        if size == file.size:
            return descriptor, None
        os.close(descriptor)
        return None, "%d bytes, expected %d" % (size, file.size)

    def open(self, client, file, begin, end):
        if not os.path.isdir(self.path):
            raise Refused("%s is no directory: mount the model there" % self.path, whole=True)
        reasons = []
        for path in (file.path, "blobs/sha256/" + file.hex):
            descriptor, reason = self._open_sized(path, file)
            if descriptor is not None:
                return FileStream(descriptor, self.name, begin, end)
            reasons.append("%s: %s" % (path, reason))
        raise Refused("%s has it neither at its path nor as a blob (%s)"
                      % (self.path, ", ".join(reasons)))
