/* xoshiro256** (Blackman and Vigna), one generator a thread, seeded by the system: no call into the
 * kernel and no shared state for each request. */
#include "request_id.h"

#include <sallyport/base/clock.h>

#include <sys/random.h>

enum { ID_MAX_LEN = 128 };

static _Thread_local uint64_t state[4];

static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

/* splitmix64: fills the state when the system has no entropy for us yet. */
static uint64_t spread(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void seed(void)
{
    uint64_t x;

    /* Never waits: this is a net thread. */
    if (getrandom(state, sizeof(state), GRND_NONBLOCK) == (ssize_t)sizeof(state) &&
        (state[0] | state[1] | state[2] | state[3]) != 0)
        return;
    x = (uint64_t)clock_mono_ns() ^ (uint64_t)(uintptr_t)state;
    for (int i = 0; i < 4; i++)
        state[i] = spread(&x);
}

uint64_t request_id_random(void)
{
    uint64_t result, shifted;

    if ((state[0] | state[1] | state[2] | state[3]) == 0)
        seed();
    result = rotate(state[1] * 5, 7) * 9;
    shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 45);
    return result;
}

void request_id_make(char *dst)
{
    static const char digits[] = "0123456789abcdef";

    for (int half = 0; half < 2; half++) {
        uint64_t bits = request_id_random();

        for (int i = 0; i < REQUEST_ID_LEN / 2; i++) {
            *dst++ = digits[bits & 15];
            bits >>= 4;
        }
    }
}

bool request_id_is_sane(struct view id)
{
    if (id.len == 0 || id.len > ID_MAX_LEN)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.p[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (!alnum && c != '-' && c != '_' && c != '.' && c != ':' && c != '/' && c != '+' &&
            c != '=' && c != '@')
            return false;
    }
    return true;
}
