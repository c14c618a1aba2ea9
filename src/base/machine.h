/* Which machine this is: what tells its devices, inodes and directories from those of others. */
#pragma once

/* Of /etc/machine-id, where it says one, else the host's name. The caller frees it. */
char *machine_id(void);

/* The same of another file. One that is empty, or says "uninitialized", is an image's
 * (machine-id(5)): all containers of it would be one machine. */
char *machine_id_in(const char *path);
