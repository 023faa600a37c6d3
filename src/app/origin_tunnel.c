/* "Upgrade: echo": after 101 every byte comes back, until the client ends its stream. */
#include "origin_internal.h"

/* True while more may come. */
static bool echo(struct origin_conn *c)
{
    if (c->out.len < ORIGIN_OUT_BYTES)
        iobuf_move_all(&c->out, &c->in);
    return true;
}

void origin_upgrade(struct origin_conn *c)
{
    if (!view_eq_nocase(c->head.protocol, VIEW("echo"))) {
        origin_reply_head(c, &(struct origin_reply){.status = 426,
                                                    .fields = VIEW("Connection: upgrade\r\n"
                                                                   "Upgrade: echo\r\n")});
        return;
    }
    origin_raw(c, VIEW("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                       "Upgrade: echo\r\n\r\n"));
    c->answer.tunnel = echo;
    c->answer.end = ORIGIN_TUNNEL;
}
