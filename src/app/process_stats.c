/* proc(5), getrusage(2). */
#include "process_stats.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static void read_memory(struct process_stats *out)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    FILE *f = fopen("/proc/self/statm", "re");
    char line[256], *end;

    if (f == NULL)
        return;
    if (fgets(line, sizeof(line), f) != NULL) {
        out->virtual_bytes = strtoull(line, &end, 10) * page;
        out->resident_bytes = strtoull(end, NULL, 10) * page;
    }
    (void)fclose(f);
}

static void read_descriptors(struct process_stats *out)
{
    struct rlimit limit;
    DIR *dir = opendir("/proc/self/fd");

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        out->max_fds = limit.rlim_cur;
    if (dir == NULL)
        return;
    /* glibc's is safe for a folder that one thread reads (readdir(3)). */
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) /* NOLINT(concurrency-mt-unsafe) */
        out->open_fds += e->d_name[0] != '.';
    (void)closedir(dir);
    out->open_fds--; /* the folder's own */
}

static int64_t us_of(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

void process_stats_read(struct process_stats *out)
{
    struct rusage usage;

    *out = (struct process_stats){0};
    read_memory(out);
    read_descriptors(out);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        out->cpu_us = us_of(usage.ru_utime) + us_of(usage.ru_stime);
}
