/* Time, sleeping, and the file of single results. */
#include "load.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

int64_t load_now_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int load_poll(int epoll_fd, struct epoll_event *ready, int cap, int64_t until_us)
{
    int64_t left_us = until_us - load_now_us();
    struct timespec left = {0};

    if (left_us > 0)
        left = (struct timespec){.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
    return epoll_pwait2(epoll_fd, ready, cap, &left, NULL);
}

bool load_samples_open(FILE **file, const struct load_options *o)
{
    *file = NULL;
    if (o->samples == NULL)
        return true;
    *file = fopen(o->samples, "we");
    if (*file == NULL)
        perror(o->samples);
    return *file != NULL;
}

bool load_samples_close(FILE *file)
{
    if (file == NULL || fclose(file) == 0)
        return true;
    perror("samples");
    return false;
}
