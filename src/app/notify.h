/* Telling the service manager how far we are (man 3 sd_notify): one datagram to the socket that
 * NOTIFY_SOCKET names. Without it, nothing happens. */
#pragma once

/* "READY=1", "STOPPING=1", "STATUS=...": lines, as sd_notify takes them. Never fails visibly: the
 * proxy does not depend on being watched. */
void notify_send(const char *state);
