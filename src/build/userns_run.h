/* A program as root of a user namespace, for who is not root: begun anew, this one enters a
 * namespace (userns.h), and runs it there with processes and mounts of its own, which end with it,
 * whatever it dies of. It does so too when whoever began it dies, or this process is sent SIGTERM.
 */
#pragma once

#define USERNS_WORD "userns-run"

/* main(): argv is the program and its arguments, NULL-terminated. Returns its exit status. */
int userns_run_main(char **argv);
