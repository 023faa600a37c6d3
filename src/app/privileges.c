/* Becoming an ordinary user. */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static enum sp_err refuse(const char **reason, const char *text)
{
    *reason = text;
    return SP_INVALID;
}

enum sp_err privileges_find(struct view user, struct privileges *out, const char **reason)
{
    struct privileges found = {0};
    struct passwd entry, *result = NULL;
    char buffer[4096];

    if (user.len >= sizeof(found.name))
        return refuse(reason, "the name is too long");
    memcpy(found.name, user.p, user.len);
    if (getpwnam_r(found.name, &entry, buffer, sizeof(buffer), &result) != 0)
        return refuse(reason, "the user database cannot be read");
    if (result == NULL)
        return refuse(reason, "no such user");
    found.uid = entry.pw_uid;
    found.gid = entry.pw_gid;
    found.change = geteuid() != entry.pw_uid || getegid() != entry.pw_gid;
    if (found.change && geteuid() != 0)
        return refuse(reason, "only root can become another user");
    *out = found;
    return SP_OK;
}

/* All three of each, and no way back: a saved id of 0 would be one. */
static bool dropped(const struct privileges *p)
{
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;

    if (getresuid(&real, &effective, &saved) != 0 ||
        getresgid(&real_group, &effective_group, &saved_group) != 0)
        return false;
    if (real != p->uid || effective != p->uid || saved != p->uid)
        return false;
    if (real_group != p->gid || effective_group != p->gid || saved_group != p->gid)
        return false;
    return p->uid == 0 || setuid(0) != 0;
}

/* Threads that lower their scheduling weight may raise it again afterwards, as far as that of any
 * process: RLIMIT_NICE counts from 20 downwards (getrlimit(2)). Best effort. */
static void keep_ordinary_weight(void)
{
    const struct rlimit ordinary = {.rlim_cur = 20, .rlim_max = 20};
    struct rlimit now;

    if (getrlimit(RLIMIT_NICE, &now) == 0 && now.rlim_cur < ordinary.rlim_cur)
        (void)setrlimit(RLIMIT_NICE, &ordinary);
}

enum sp_err privileges_drop(const struct privileges *p, const char **reason)
{
    /* Groups first: once the user has changed, it may not set them any more. */
    if (p->change && (initgroups(p->name, p->gid) != 0 || setgid(p->gid) != 0))
        return refuse(reason, "its groups cannot be taken on");
    if (p->change)
        keep_ordinary_weight();
    if (p->change && setuid(p->uid) != 0)
        return refuse(reason, "setuid failed");
    if (p->change && !dropped(p))
        return refuse(reason, "the process kept rights that it should have given up");
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return SP_OK;
}
