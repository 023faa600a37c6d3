/* Every metric of the program: X(name, unit, help). Names are <layer>_<noun>_<event>. */
#pragma once

/* clang-format off */
#define SP_COUNTERS(X)                                                                             \
    X(event_loop_turns,            "turns",       "turns of all loops")                            \
    X(event_inbox_items,           "items",       "items taken from the inboxes")                  \
    X(net_accepted,                "connections", "connections accepted")                          \
    X(net_accept_errors_transient, "errors",      "accept failed for the peer's or the moment's sake") \
    X(net_accept_errors_warn,      "errors",      "accept failed for want of a resource; delayed") \
    X(net_accept_errors_fatal,     "errors",      "accept failed for good; listener closed")       \
    X(net_opened,                  "connections", "connections made, both sides")                  \
    X(net_closed,                  "connections", "connections closed and freed")                  \
    X(net_connects,                "connections", "outgoing connections tried")                    \
    X(net_connect_errors,          "errors",      "outgoing connections that failed")              \
    X(net_throttled_total,         "times",       "the total of connections was reached: accepting rested")                 \
    X(net_throttled_per_address,   "connections", "refused: connections of one address")           \
    X(net_throttled_fd_emergency,  "times",       "descriptors ran short: idle connections went, accepting rested, in a hyper-emergency the new one was closed") \
    X(net_throttled_connect,       "connections", "outgoing connections refused by the throttle")  \
    X(net_throttled_memory,        "connections", "refused: memory ceiling")                       \
    X(net_timeouts_inactivity,     "connections", "inactivity timeouts")                           \
    X(net_timeouts_active,         "connections", "active timeouts")                               \
    X(net_keep_alive_evicted,      "connections", "idle connections closed to make room")          \
    X(net_bytes_in,                "bytes",       "received, TLS framing included")                \
    X(net_bytes_out,               "bytes",       "sent, TLS framing included")                    \
    X(net_recv_calls,              "calls",       "recv system calls")                             \
    X(net_send_calls,              "calls",       "send system calls")                             \
    X(tls_handshakes_started,      "handshakes",  "handshakes whose first step ran")               \
    X(tls_handshakes_full,         "handshakes",  "full handshakes completed")                     \
    X(tls_handshakes_resumed,      "handshakes",  "resumed handshakes completed")                  \
    X(tls_handshakes_failed,       "handshakes",  "handshakes that did not complete")              \
    X(tls_handshake_timeouts,      "handshakes",  "handshakes that took too long")                 \
    X(tls_handshakes_dropped_late, "handshakes",  "dropped before any cryptography: waited too long") \
    X(tls_handshakes_dropped_gone, "handshakes",  "dropped before any cryptography: the peer had left") \
    X(tls_handshakes_shed,         "handshakes",  "refused as they came: more than can be served keep coming") \
    X(tls_handshakes_refused_at_once, "handshakes", "refused: as many of one address at the same time as may be") \
    X(tls_handshakes_refused_rate, "handshakes",  "refused: as many of one address a second as may be") \
    X(tls_handshakes_paced,        "times",       "handshakes waited because as many a second as may be had begun") \
    X(tls_accept_pauses,           "pauses",      "accepting stopped, as many handshakes waited as may") \
    X(tls_accept_pause_ms,         "milliseconds", "that accepting stopped, in all")              \
    X(tls_handshake_floor_raises,  "times",       "handshakes got less than their least share: their weight or budget was raised") \
    X(tls_overloads,               "overloads",   "times at which handshakes came faster than they could be served") \
    X(tls_plain_http,              "connections", "plain HTTP on a TLS port")                      \
    X(tls_failed_not_tls,          "handshakes",  "failed: the first bytes were neither TLS nor HTTP") \
    X(tls_failed_version,          "handshakes",  "failed: no common protocol version")            \
    X(tls_failed_cipher,           "handshakes",  "failed: no common cipher suite, group or signature") \
    X(tls_failed_sni,              "handshakes",  "failed: the requested name is not served here") \
    X(tls_failed_alpn,             "handshakes",  "failed: no common application protocol")        \
    X(tls_failed_certificate_missing, "handshakes", "failed: the client sent no certificate")      \
    X(tls_failed_certificate_unknown_ca, "handshakes", "failed: the client's certificate is of no known authority") \
    X(tls_failed_certificate_expired, "handshakes", "failed: the client's certificate is out of date") \
    X(tls_failed_certificate_revoked, "handshakes", "failed: the client's certificate was revoked") \
    X(tls_failed_certificate_refused, "handshakes", "failed: the client's certificate is not fit") \
    X(tls_failed_alert,            "handshakes",  "failed: the peer sent an alert")                \
    X(tls_failed_protocol,         "handshakes",  "failed: the peer broke the protocol")           \
    X(tls_failed_gone,             "handshakes",  "failed: the peer went away")                    \
    X(tls_failed_other,            "handshakes",  "failed: memory, the library, shutdown")         \
    X(tls_handshake_full_us,       "microseconds", "CPU time of completed full handshakes")       \
    X(tls_handshake_resumed_us,    "microseconds", "CPU time of completed resumed handshakes")    \
    X(tls_tickets_issued,          "tickets",     "session tickets given out")                     \
    X(tls_tickets_current,         "tickets",     "shown by clients and opened with the key that seals") \
    X(tls_tickets_old,             "tickets",     "opened with another key: one that seals no more, or not yet") \
    X(tls_tickets_unknown,         "tickets",     "not opened: no such key here")                  \
    X(tls_tickets_expired,         "tickets",     "not used: their time was over")                 \
    X(tls_tickets_damaged,         "tickets",     "not opened: changed since they were sealed")    \
    X(tls_certificates_verified,   "handshakes",  "completed with a certificate of the client")    \
    X(tls_certificate_chains_omitted, "handshakes", "chains that backends were not told: too long") \
    X(tls_certificate_tickets_refused, "tickets", "not resumed: the client's certificate, an authority or a revocation list is out of date") \
    X(tls_early_accepted,          "handshakes",  "connections used before their handshake was over (early data)") \
    X(tls_early_bytes,             "bytes",       "early data received")                           \
    X(tls_early_refused_used,      "handshakes",  "early data refused: the ticket was used for it before") \
    X(tls_early_refused_forgotten, "handshakes",  "early data refused: too many tickets were given out since") \
    X(tls_early_refused_foreign,   "handshakes",  "early data refused: the ticket is of another process or port") \
    X(tls_early_refused_stale,     "handshakes",  "early data refused: the ticket's age is not what the client says, or name or protocol is another") \
    X(tls_early_refused_not_resumed, "handshakes", "early data refused: the ticket was not good for resuming") \
    X(tls_early_refused_client_auth, "handshakes", "early data refused: the client is asked for a certificate") \
    X(tls_version_1_2,             "handshakes",  "completed with TLS 1.2")                        \
    X(tls_version_1_3,             "handshakes",  "completed with TLS 1.3")                        \
    X(tls_cipher_aes_128_gcm,      "handshakes",  "completed with AES-128-GCM")                    \
    X(tls_cipher_aes_256_gcm,      "handshakes",  "completed with AES-256-GCM")                    \
    X(tls_cipher_chacha20_poly1305, "handshakes", "completed with ChaCha20-Poly1305")              \
    X(tls_group_x25519,            "handshakes",  "keys agreed on with X25519")                    \
    X(tls_group_p256,              "handshakes",  "keys agreed on with P-256")                     \
    X(tls_group_p384,              "handshakes",  "keys agreed on with P-384")                     \
    X(tls_group_x25519mlkem768,    "handshakes",  "keys agreed on with X25519MLKEM768")            \
    X(tls_group_other,             "handshakes",  "keys agreed on with another group")             \
    X(cert_watch_overflows,        "times",       "more changes of files than the system could tell: all certificates were looked at") \
    X(tls_canaries_begun,          "reloads",     "certificates that a share of the handshakes tried first") \
    X(tls_canaries_completed,      "reloads",     "...and that then served everybody")            \
    X(tls_canaries_reverted,       "reloads",     "...and that went back")                        \
    X(tls_client_handshakes_started, "handshakes", "handshakes with servers that began")           \
    X(tls_client_handshakes_full,  "handshakes",  "full handshakes with servers completed")        \
    X(tls_client_handshakes_resumed, "handshakes", "resumed handshakes with servers completed")    \
    X(tls_client_handshakes_failed, "handshakes", "handshakes with servers that failed")           \
    X(tls_client_failed_certificate, "handshakes", "failed: the server's certificate was refused") \
    X(tls_client_failed_alpn,      "handshakes",  "failed: no common protocol with the server")    \
    X(tls_client_failed_timeout,   "handshakes",  "failed: the server took too long")              \
    X(tls_ocsp_stapled,            "handshakes",  "clients that asked for a certificate's status and were given a staple") \
    X(tls_ocsp_unstapled,          "handshakes",  "clients that asked for a certificate's status, of which there was none") \
    X(tls_ocsp_must_staple_missing, "handshakes", "of these, with a certificate that must not be shown without") \
    X(tls_ocsp_fetches,            "requests",   "OCSP: responders that were asked about a certificate") \
    X(tls_ocsp_good,               "responses",  "OCSP: about certificates that were right and said that they are good") \
    X(tls_ocsp_revoked,            "responses",  "OCSP: about certificates that were right and said that they are revoked") \
    X(tls_ocsp_failed_unknown,     "responses",  "OCSP: failed: the responder does not know the certificate") \
    X(tls_ocsp_failed_dns,         "requests",   "OCSP: failed: the responder's name did not resolve") \
    X(tls_ocsp_failed_connect,     "requests",   "OCSP: failed: no connection to the responder") \
    X(tls_ocsp_failed_timeout,     "requests",   "OCSP: failed: the responder took too long") \
    X(tls_ocsp_failed_http,        "responses",  "OCSP: failed: the responder did not answer as OCSP over HTTP does") \
    X(tls_ocsp_failed_too_large,   "responses",  "OCSP: failed: larger than may be") \
    X(tls_ocsp_failed_refused,     "responses",  "OCSP: failed: the responder refused to answer") \
    X(tls_ocsp_failed_malformed,   "responses",  "OCSP: failed: no OCSP response") \
    X(tls_ocsp_failed_other,       "responses",  "OCSP: failed: about other certificates") \
    X(tls_ocsp_failed_signature,   "responses",  "OCSP: failed: not signed by who may speak for the issuer") \
    X(tls_ocsp_failed_dates,       "responses",  "OCSP: failed: out of date, or not valid yet") \
    X(tls_ocsp_failed_file,        "files",      "OCSP: failed: the file of a response could not be read") \
    X(tls_ocsp_failed_here,        "times",      "OCSP: failed: for want of memory, or nobody could be asked") \
    X(tls_truncated,               "connections", "streams that ended without close_notify")       \
    X(tls_renegotiations,          "requests",    "renegotiations that were refused")              \
    X(tls_key_update_floods,       "connections", "closed for too many KeyUpdates")                \
    X(tls_migrations,              "connections", "connections handed from ET_SSL to ET_NET")      \
    X(http_early_requests,         "requests",    "sent to backends with Early-Data: 1")           \
    X(http_early_waited,           "requests",    "that came as early data and waited for the handshake") \
    X(http_early_retried,          "requests",    "sent again after the handshake: the backend said 425") \
    X(http_requests,               "requests",    "requests whose head was read")                  \
    X(http_misdirected,            "requests",    "421: for a name whose rules for client certificates are not those of the connection") \
    X(http_responses_2xx,          "responses",   "final responses 200 to 299, and 101")           \
    X(http_responses_3xx,          "responses",   "final responses 300 to 399")                    \
    X(http_responses_4xx,          "responses",   "final responses 400 to 499")                    \
    X(http_responses_5xx,          "responses",   "final responses 500 to 599")                    \
    X(http_bad_requests,           "requests",    "requests refused as malformed or over a limit") \
    X(http_aborted_by_client,      "requests",    "requests whose client went away first")         \
    X(http_aborted_by_upstream,    "requests",    "responses cut short by the backend")            \
    X(http_timeouts,               "requests",    "requests ended by a time limit")                \
    X(http_upgrades,               "requests",    "connections that became tunnels")               \
    X(http2_over_rapid_resets,      "connections", "HTTP/2 ended: over the budget of streams that the peer reset")   \
    X(http2_over_provoked_resets,   "connections", "HTTP/2 ended: over the budget of streams that the peer made us reset")\
    X(http2_over_continuations,     "connections", "HTTP/2 ended: over the budget of CONTINUATION frames")           \
    X(http2_over_header_bytes,      "connections", "HTTP/2 ended: over the budget of decoded header bytes")          \
    X(http2_over_settings,          "connections", "HTTP/2 ended: over the budget of SETTINGS frames")               \
    X(http2_over_pings,             "connections", "HTTP/2 ended: over the budget of PING frames")                   \
    X(http2_over_empty_data,        "connections", "HTTP/2 ended: over the budget of empty DATA frames")             \
    X(http2_over_empty_headers,     "connections", "HTTP/2 ended: over the budget of empty HEADERS and CONTINUATION frames")\
    X(http2_over_priorities,        "connections", "HTTP/2 ended: over the budget of PRIORITY frames")               \
    X(http2_over_window_updates,    "connections", "HTTP/2 ended: over the budget of WINDOW_UPDATE frames")          \
    X(http2_over_tiny_frames,       "connections", "HTTP/2 ended: over the budget of tiny frames")                   \
    X(http2_over_starved_frames,    "connections", "HTTP/2 ended: over the budget of frames cut small by the peer's window")\
    X(http2_over_stalled_streams,   "connections", "HTTP/2 ended: over the budget of streams whose window stayed shut")\
    X(http2_over_abandoned_streams, "connections", "HTTP/2 ended: over the budget of streams left unfinished")       \
    X(upstream_requests,           "requests",    "requests sent to backends")                     \
    X(upstream_reused,             "requests",    "of these, on a pooled connection")              \
    X(upstream_retries,            "requests",    "tried again on a fresh connection")             \
    X(upstream_errors,             "errors",      "attempts that a backend failed")                \
    X(upstream_refused,            "requests",    "that a server had not acted on: GOAWAY, REFUSED_STREAM") \
    X(upstream_dead,               "connections", "to servers that did not answer a PING in time") \
    X(access_log_dropped,          "lines",       "access log lines dropped, queue full")          \
    X(admin_requests,              "requests",    "requests on the control socket")                \
    X(admin_refused,               "requests",    "of these, refused: malformed, too large or too slow") \
    X(admin_denied,                "requests",    "of these, from users who may not use the control socket")

#define SP_GAUGES(X)                                                                               \
    X(tls_handshakes_open,         "connections", "connections in their handshake now")            \
    X(tls_handshakes_waiting,      "handshakes",  "handshakes that wait for their turn now")       \
    X(tls_threads_overloaded,      "threads",     "threads on which handshakes come faster than they can be served")

#define SP_HISTOGRAMS(X)                                                                           \
    X(tls_handshake_wait_ms,       "milliseconds", "from accept to the first cryptography of a handshake") \
    X(tls_handshake_crypto_us,     "microseconds", "CPU time of a completed handshake")            \
    X(tls_handshake_ms,            "milliseconds", "from accept to where a connection is usable")  \
    X(tls_handshake_drop_wait_ms,  "milliseconds", "from accept to where a handshake was dropped before any")
/* clang-format on */
