/* Becoming an ordinary user once the ports are bound and the keys are read. */
#pragma once

#include <sallyport/base/compiler.h>
#include <sallyport/base/err.h>
#include <sallyport/base/view.h>

#include <stdbool.h>
#include <sys/types.h>

#define PRIVILEGES_NAME_MAX 64

struct privileges {
    char name[PRIVILEGES_NAME_MAX];
    uid_t uid;
    gid_t gid;
    bool change; /* false: the process is that user already */
};

/* Looks a user up and whether the process may become it. *reason, static, says why not. */
enum sp_err privileges_find(struct view user, struct privileges *out, const char **reason)
    SP_MUST_CHECK;
/* For good: groups, group and user of the whole process, checked afterwards. After an error the
 * process must not go on: it may be anything in between. */
enum sp_err privileges_drop(const struct privileges *p, const char **reason) SP_MUST_CHECK;
