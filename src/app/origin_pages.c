/* Which page answers which path. Adding one is a row here and a function in the file of its kind.
 */
#include "origin_internal.h"

#define MAX_BYTES (UINT64_C(1) << 40)

/* clang-format off */
const struct origin_page origin_pages[] = {
    {VIEW_INIT(""), "/", "what arrived, as a page or (Accept: application/json) as JSON", "/",
     ORIGIN_NO_ARGUMENT, 0, origin_show, NULL},
    {VIEW_INIT("json"), "/json", "what arrived, as JSON", "/json",
     ORIGIN_NO_ARGUMENT, 0, origin_show_json, NULL},
    {VIEW_INIT("bytes"), "/bytes/N", "N bytes with their length; k, m and g are units", "/bytes/1m",
     ORIGIN_NUMBER, MAX_BYTES, origin_bytes, NULL},
    {VIEW_INIT("chunked"), "/chunked/N?size=S&trailers=1&ms=T", "N bytes in chunks of S, every T ms, a checksum behind them",
     "/chunked/100k?size=1000&trailers=1", ORIGIN_NUMBER, MAX_BYTES, origin_chunked, NULL},
    {VIEW_INIT("slow"), "/slow/N?ms=T", "N bytes, one every T ms", "/slow/20?ms=100",
     ORIGIN_NUMBER, MAX_BYTES, origin_slow, NULL},
    {VIEW_INIT("close-delimited"), "/close-delimited/N", "N bytes without a length, until the connection closes",
     "/close-delimited/1000", ORIGIN_NUMBER, MAX_BYTES, origin_close_delimited, NULL},
    {VIEW_INIT("delay"), "/delay/MS", "answers after MS milliseconds", "/delay/1000",
     ORIGIN_NUMBER, 3600000, origin_delay, NULL},
    {VIEW_INIT("status"), "/status/CODE", "200 to 599", "/status/418",
     ORIGIN_NUMBER, 599, origin_status, NULL},
    {VIEW_INIT("headers"), "/headers/N?size=S", "N fields with values of S bytes", "/headers/20",
     ORIGIN_NUMBER, 10000, origin_headers, NULL},
    {VIEW_INIT("interim"), "/interim?n=N", "103 Early Hints, N times, then 200", "/interim",
     ORIGIN_NO_ARGUMENT, 0, origin_interim, NULL},
    {VIEW_INIT("continue"), "/continue", "tells whether 100 Continue was asked for and sent", "/continue",
     ORIGIN_NO_ARGUMENT, 0, origin_show_json, NULL},
    {VIEW_INIT("sink"), "/sink", "POST any amount: its bytes and checksum as JSON (\"sum=0\": only bytes)", NULL,
     ORIGIN_NO_ARGUMENT, 0, origin_sink, NULL},
    {VIEW_INIT("echo"), "/echo", "POST: the body comes back while it arrives, trailers too", NULL,
     ORIGIN_NO_ARGUMENT, 0, origin_echo, origin_echo_body},
    {VIEW_INIT("upgrade"), "/upgrade", "Upgrade: echo, and every byte comes back", NULL,
     ORIGIN_NO_ARGUMENT, 0, origin_upgrade, NULL},
    {VIEW_INIT("ws"), "/ws", "a WebSocket that echoes", NULL,
     ORIGIN_NO_ARGUMENT, 0, origin_websocket_upgrade, NULL},
    {VIEW_INIT("hang"), "/hang", "never answers", NULL,
     ORIGIN_NO_ARGUMENT, 0, origin_hang, NULL},
    {VIEW_INIT("close"), "/close", "closes without an answer", "/close",
     ORIGIN_NO_ARGUMENT, 0, origin_close, NULL},
    {VIEW_INIT("close-if-reused"), "/close-if-reused", "the same, unless the connection is fresh", "/close-if-reused",
     ORIGIN_NO_ARGUMENT, 0, origin_close_if_reused, NULL},
    {VIEW_INIT("keepalive-close"), "/keepalive-close", "answers, promises to stay and closes", "/keepalive-close",
     ORIGIN_NO_ARGUMENT, 0, origin_keepalive_close, NULL},
    {VIEW_INIT("reset"), "/reset?after=N", "resets the connection, N bytes into the answer", "/reset?after=1000",
     ORIGIN_NO_ARGUMENT, 0, origin_reset, NULL},
    {VIEW_INIT("cut"), "/cut/N", "promises N bytes, sends half and closes", "/cut/1000",
     ORIGIN_NUMBER, MAX_BYTES, origin_cut, NULL},
    {VIEW_INIT("cut-chunked"), "/cut-chunked", "closes before the last chunk", "/cut-chunked",
     ORIGIN_NO_ARGUMENT, 0, origin_cut_chunked, NULL},
    {VIEW_INIT("toomuch"), "/toomuch", "sends more than it said: a second answer", "/toomuch",
     ORIGIN_NO_ARGUMENT, 0, origin_too_much, NULL},
    {VIEW_INIT("garbage"), "/garbage", "not HTTP", "/garbage",
     ORIGIN_NO_ARGUMENT, 0, origin_garbage, NULL},
    {VIEW_INIT("bad"), "/bad/WHAT", "an answer that must not be believed: two-lengths, length-and-chunked, "
     "length-sign, coding, chunk-size, chunk-end, chunk-overflow, fold, nul, bare-lf, bare-cr, field-blank, "
     "status, version, switch, garbage, empty", "/bad/two-lengths",
     ORIGIN_WORD, 0, origin_bad, NULL},
};
/* clang-format on */
const size_t origin_page_count = SP_COUNT_OF(origin_pages);

static const struct origin_page missing = {
    VIEW_INIT("*"), "", "", NULL, ORIGIN_NO_ARGUMENT, 0, origin_show_missing, NULL};

static bool takes(const struct origin_page *p, const struct origin_target *t, uint64_t *number)
{
    switch (p->argument) {
    case ORIGIN_NO_ARGUMENT: return t->argument.len == 0;
    case ORIGIN_NUMBER: return origin_number(t->argument, p->max, number);
    case ORIGIN_WORD: return t->argument.len > 0;
    }
    return false;
}

const struct origin_page *origin_page_find(const struct origin_target *t, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < SP_COUNT_OF(origin_pages); i++)
        if (view_eq(t->page, origin_pages[i].name))
            return takes(&origin_pages[i], t, number) ? &origin_pages[i] : &missing;
    return &missing;
}
