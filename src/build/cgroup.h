/* What the cgroup of a sandbox says, and its removal; cgroup v1 and v2. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "/waybill/…": one for each scratch directory of a machine. The caller frees it. */
char *cgroup_name(const char *directory, const char *scratch);

typedef struct {
    int64_t oom_kills;
    int64_t memory_peak; /* bytes; -1: not known */
    int64_t cpu_ms;      /* -1: not known */
} CgroupUse;
void cgroup_read(const char *name, CgroupUse *use);

/* Bytes that the cgroups which this process is in leave to it and all it starts; -1: no limit. */
int64_t cgroup_own_memory(void);

/* With those below it. Waits at most `ms` for its last processes to end. Whether it is gone. */
bool cgroup_remove(const char *name, int ms);
