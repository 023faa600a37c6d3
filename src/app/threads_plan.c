/* How many threads of each kind. */
#include "threads_plan.h"

#include <sched.h>

unsigned threads_plan_cores(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1; /* more than 1024 processors: then threads.net had better be a number */
    return (unsigned)CPU_COUNT(&set) > 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static int threads_of(uint32_t configured, unsigned cores)
{
    return (int)(configured == THREADS_AUTO ? cores : configured);
}

static bool any_tls_port(const struct config *config)
{
    for (uint32_t i = 0; i < config->n_ports; i++)
        if (config->ports[i].tls)
            return true;
    return false;
}

struct threads_plan threads_plan(const struct config *config, unsigned cores)
{
    const struct threads_conf *conf = &config->threads;

    return (struct threads_plan){
        .net = threads_of(conf->net, cores),
        .ssl = any_tls_port(config) ? threads_of(conf->ssl, cores) : 0,
        .task = threads_of(conf->task, cores),
        .ssl_nice = conf->ssl_nice,
    };
}
