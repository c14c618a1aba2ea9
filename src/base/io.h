/* Files, written so that a crash leaves either the old or the new one.
 *
 * Errors of this file have the domain IO_ERROR and an errno value as their code, so that a caller
 * can tell a full disk (ENOSPC) from an unreadable file (EACCES) without looking at the text. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IO_ERROR (io_error_quark())
GQuark io_error_quark(void);

/* Sets *error to "MESSAGE: strerror(code)". Always returns false, so that callers can `return
 * io_fail(…)`. */
bool io_fail(GError **error, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* A file descriptor that closes itself when it leaves its scope; -1 is none. */
void io_close(int *fd);
#define autofd __attribute__((cleanup(io_close))) int
/* Returns *fd and sets it to -1: the caller owns it from here. */
int io_steal_fd(int *fd);

/* Writes all of it, whatever write(2) makes of it. */
bool io_write_all(int fd, const void *data, size_t size, GError **error);

/* Reads up to size bytes, fewer only at the end of the file. -1 on error. */
ssize_t io_read_full(int fd, void *data, size_t size, GError **error);

/* The whole file beneath `directory` (AT_FDCWD allowed), at most `limit` bytes: more is an error
 * with code EFBIG. */
GBytes *io_read_file(int directory, const char *path, size_t limit, GError **error);

/* Replaces `name` in `directory`: temporary file, fsync, rename, fsync of the directory. */
bool io_replace_file(int directory, const char *name, const void *data, size_t size, mode_t mode,
                     GError **error);

/* Makes a directory and its parents durable where they are new; existing ones are left alone. */
bool io_make_directories(const char *path, mode_t mode, GError **error);

bool io_sync_directory(int directory, GError **error);

/* Opens `path` beneath `directory` without ever leaving it: openat2(RESOLVE_BENEATH |
 * RESOLVE_NO_MAGICLINKS), and where the kernel or a seccomp filter lacks openat2 the same walk in
 * user space. Links are followed, at most 40 (ELOOP); what leads outside is EXDEV. Returns -1 and
 * sets errno. */
int io_open_beneath(int directory, const char *path, int flags);
/* The user-space walk by itself: for tests, which hold it against openat2. */
int io_open_beneath_walking(int directory, const char *path, int flags);
