/* What the HTTP clients of the benchmarks share. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* As many descriptors as the hard limit lets. */
void client_lift_limit(void);
/* A connected socket that does not block; ends the program where that fails. "127.0.0.1:PORT". */
int client_connect(const char *address);
/* Sends a GET whole; ends the program where that fails. */
void client_send_get(int fd, const char *address, const char *path);
int64_t client_now_ns(void);
void client_die(const char *what) __attribute__((noreturn));
