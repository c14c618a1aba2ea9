/* Which machine this is: what tells its devices, inodes and directories from those of others. */
#pragma once

/* Of /etc/machine-id, where it has one, else the host's name. The caller frees it. */
char *machine_id(void);
