/* The process that a sandbox lives in: the program itself, begun anew (sandbox.c).
 *
 * It has a mount, a PID and (but for network = host) a network namespace of its own, and is the
 * first process of the PID namespace. So everything it mounts and starts ends with it, whatever it
 * dies of; and it dies with the worker that began it (PR_SET_PDEATHSIG). Nothing is left but files
 * in the scratch directory and empty cgroups, which sandbox_sweep removes. */
#pragma once

#define SANDBOX_WORD "sandbox-helper"

/* main() of the helper: argv as sandbox.c makes it, without the program and SANDBOX_WORD. Returns
 * the exit status. */
int sandbox_helper_main(int argc, char **argv);
