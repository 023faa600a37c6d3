/* How bytes are cut into reads must not change what they mean: each input, and many that are almost
 * valid, is given whole and in pieces, and the client must see the same answers and the service the
 * same requests. */
#include "session_fixture.h"

struct outcome {
    char requests[4096]; /* what the users were told, bodies apart */
    char bodies[4096];   /* of complete requests */
    char got[16384];
    enum http_error refused;
    bool got_end;
};

static const char *const seeds[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nPOST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
    "PUT /y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\nHEAD / HTTP/1.1\r\nHost: b\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n",
    "GET http://h/p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nX:\t y \r\n\r\n"
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
};

/* A request is answered when it is whole, or when it failed. */
static void answer_at_the_end(struct recorder *r, const char *event)
{
    if (strcmp(event, "body") == 0)
        return;
    if (strcmp(event, "request") == 0 && !r->s->recv_ended)
        return;
    if (strcmp(event, "failed") == 0 && !r->s->answerable) {
        recorder_release(r);
        return;
    }
    recorder_answer(r, strcmp(event, "failed") == 0 ? 400 : 200, "ok");
}

static void append(char *to, size_t cap, const char *text, size_t n)
{
    size_t at = strlen(to);

    assert_true(at + n < cap);
    memcpy(to + at, text, n);
    to[at + n] = '\0';
}

/* The words of a log but "body": how many there are depends on the pieces, and in the end on what
 * follows in the same one. */
static void take_log(struct outcome *out, const struct recorder *r)
{
    char log[sizeof(r->log)];
    char *rest = log;

    memcpy(log, r->log, sizeof(log));
    for (char *word = strtok_r(log, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (strcmp(word, "body") == 0)
            continue;
        append(out->requests, sizeof(out->requests), word, strlen(word));
        append(out->requests, sizeof(out->requests), " ", 1);
    }
    if (strstr(r->log, "failed") == NULL)
        append(out->bodies, sizeof(out->bodies), r->body, r->n_body);
}

static void play(const char *bytes, size_t n, size_t piece, struct outcome *out)
{
    void *state = NULL;

    memset(out, 0, sizeof(*out));
    assert_int_equal(fixture_setup(&state), 0);
    fix.service.on_request = answer_at_the_end;
    fix.service.on_event = answer_at_the_end;
    fix.client.piece = piece;
    fake_peer_says_bytes(&fix.client, bytes, n);
    fake_net_turn();
    assert_true(fix.service.n < SP_COUNT_OF(fix.service.r));
    for (unsigned i = 0; i < fix.service.n; i++)
        take_log(out, &fix.service.r[i]);
    append(out->got, sizeof(out->got), got(), fix.client.n_got);
    out->refused = fix.service.refused;
    out->got_end = fix.client.got_end;
    assert_int_equal(fixture_teardown(&state), 0);
}

static void is_the_same_in_pieces(const char *bytes, size_t n)
{
    static const size_t pieces[] = {1, 3, 16};
    static struct outcome whole, cut;

    play(bytes, n, 0, &whole);
    for (size_t i = 0; i < SP_COUNT_OF(pieces); i++) {
        play(bytes, n, pieces[i], &cut);
        assert_string_equal(cut.requests, whole.requests);
        assert_string_equal(cut.bodies, whole.bodies);
        assert_string_equal(cut.got, whole.got);
        assert_int_equal(cut.refused, whole.refused);
        assert_int_equal(cut.got_end, whole.got_end);
    }
}

static void whole_messages_mean_the_same_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(seeds); i++)
        is_the_same_in_pieces(seeds[i], strlen(seeds[i]));
}

static void every_truncation_means_the_same_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(seeds); i++)
        for (size_t n = 1; n < strlen(seeds[i]); n += 5)
            is_the_same_in_pieces(seeds[i], n);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

/* One to three bytes are replaced, removed or doubled. */
static size_t mutate(char *bytes, size_t n, uint32_t *seed)
{
    static const char likely[] = "\r\n \t:;,0123456789abcdefxGET\0\x7f\xff/-+";
    uint32_t changes = 1 + next_random(seed) % 3;

    for (uint32_t i = 0; i < changes && n > 1; i++) {
        size_t at = next_random(seed) % n;

        switch (next_random(seed) % 3) {
        case 0: bytes[at] = likely[next_random(seed) % (sizeof(likely) - 1)]; break;
        case 1:
            memmove(bytes + at, bytes + at + 1, n - at - 1);
            n--;
            break;
        default:
            memmove(bytes + at + 1, bytes + at, n - at);
            n++;
            break;
        }
    }
    return n;
}

static void almost_valid_messages_mean_the_same_in_pieces(void **state)
{
    uint32_t seed = 20240607;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        const char *text = seeds[next_random(&seed) % SP_COUNT_OF(seeds)];
        char bytes[512];
        size_t n = strlen(text);

        memcpy(bytes, text, n);
        is_the_same_in_pieces(bytes, mutate(bytes, n, &seed));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_messages_mean_the_same_in_pieces),
        cmocka_unit_test(every_truncation_means_the_same_in_pieces),
        cmocka_unit_test(almost_valid_messages_mean_the_same_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
