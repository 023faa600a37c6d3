/* Wrong configurations and every line that is said about them. */
#include "config_fixture.h"

#define PORT      "\"ports\": {\"80\": {\"tls\": false}}"
#define ROUTE     "\"routes\": [{\"respond\": {\"text\": \"x\"}}]"
#define BUNDLE    "\"bundles\": {\"a\": {\"certs\": [{\"chain\": \"c\", \"key\": \"k\"}]}}"
/* 108 bytes */
#define TEN       "/123456789"
#define LONG_PATH TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "/1234567"

struct wrong {
    const char *text;
    const char *lines; /* without the file's name in front of the first and the last newline */
};

/* clang-format off */
static const struct wrong wrongs[] = {
    /* Text. */
    {"",
     ":1:1: '[' or '{' expected near end of file"},
    {"{",
     ":1:1: string or '}' expected near end of file"},
    {"{\"ports\": {}",
     ":1:12: '}' expected near end of file"},
    {"[]",
     ":1:1: expected an object, found an empty list"},
    {"\"x\"",
     ":1:3: '[' or '{' expected near '\"x\"'"},
    {"{\"a\": 1, \"a\": 2}",
     ":1:12: duplicate object key near '\"a\"'"},
    {"{\"a\": 01}",
     ":1:7: invalid token near '0'"},
    {"{'a': 1}",
     ":1:2: string or '}' expected near '''"},
    {"{\"a\": 1,}",
     ":1:9: string or '}' expected near '}'"},
    {"{\"a\": \"\001\"}",
     ":1:7: control character 0x1 near '\"'"},
    {"{\"a\": 99999999999999999999}",
     ":1:26: too big integer near '99999999999999999999'"},
    {"{} {}",
     ":1:4: end of file expected near '{'"},
    {"{\"a\": \"\\u0000\"}",
     ":1:14: \\u0000 is not allowed without JSON_ALLOW_NUL near '\"\\u0000\"'"},
    {"// no\n{}",
     ":1:1: '[' or '{' expected near '/'"},
    {"\357\273\277{}",
     ":1:1: the file begins with a byte order mark: save it without"},
    /* The object at the top. */
    {"{}",
     ":1:1: \"ports\" is missing: expected an object that is not empty"},
    {"{\"prots\": {}}",
     ":1:1: \"ports\" is missing: expected an object that is not empty\n" "test.json:1:2: /prots: unknown key \"prots\"; did you mean \"ports\"?"},
    {"{\"ports\": {}}",
     ":1:11: /ports: expected an object that is not empty, found an empty object"},
    {"{\"ports\": []}",
     ":1:11: /ports: expected an object that is not empty, found an empty list"},
    {"{\"ports\": {\"//\": \"none\"}}",
     ":1:11: /ports: expected an object that is not empty, found an object"},
    {"{" PORT "}",
     ":1:1: port \"80\" needs \"routes\" (or \"redirect_to_port\")"},
    {"{" PORT ", \"routes\": []}",
     ":1:1: port \"80\" needs \"routes\" (or \"redirect_to_port\")"},
    {"{" PORT ", \"routes\": {}}",
     ":1:45: /routes: expected a list of routes, found an empty object"},
    {"{" PORT ", \"routes\": [1]}",
     ":1:46: /routes/0: expected an object, found 1"},
    {"{" PORT ", " ROUTE ", \"admin\": {\"sockets\": \"s\"}}",
     ":1:85: /admin/sockets: unknown key \"sockets\"; did you mean \"socket\"?"},
    {"{" PORT ", " ROUTE ", \"admin\": {\"socket\": 1}}",
     ":1:95: /admin/socket: expected a path or \"off\", found 1"},
    {"{" PORT ", " ROUTE ", \"admin\": {\"socket\": \"" LONG_PATH "\"}}",
     ":1:95: /admin/socket: a socket's path can have 107 bytes, and this one has 108: " LONG_PATH},
    {"{" PORT ", " ROUTE ", \"user\": \"a b\"}",
     ":1:83: /user: expected a name of letters, digits, '.', '_' and '-', found \"a b\""},
    {"{" PORT ", " ROUTE ", \"drain_timeout_ms\": -1}",
     ":1:95: /drain_timeout_ms: expected an integer from 0 to 86400000 (ms), found -1"},
    /* Ports. */
    {"{\"ports\": {\"http\": {\"tls\": false}}, " ROUTE "}",
     ":1:12: /ports/http: expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)"},
    {"{\"ports\": {\"65536\": {\"tls\": false}}, " ROUTE "}",
     ":1:12: /ports/65536: expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)"},
    {"{\"ports\": {\"080\": {\"tls\": false}}, " ROUTE "}",
     ":1:12: /ports/080: expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)"},
    {"{\"ports\": {\":80\": {\"tls\": false}}, " ROUTE "}",
     ":1:12: /ports/:80: expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)"},
    {"{\"ports\": {\"localhost:80\": {\"tls\": false}}, " ROUTE "}",
     ":1:12: /ports/localhost:80: expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)"},
    {"{\"ports\": {\"1.2.3.4\": {\"tls\": false}}, " ROUTE "}",
     ":1:12: /ports/1.2.3.4: expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)"},
    {"{\"ports\": {\"[::1]\": {\"tls\": false}}, " ROUTE "}",
     ":1:12: /ports/[::1]: expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)"},
    {"{\"ports\": {\"::1:80\": {\"tls\": false}}, " ROUTE "}",
     ":1:12: /ports/::1:80: expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)"},
    {"{\"ports\": {\"unix:\": {\"tls\": false}}, " ROUTE "}",
     ":1:12: /ports/unix:: expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)"},
    {"{\"ports\": {\"unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\": {\"tls\": false}}, " ROUTE "}",
     ":1:12: /ports/unix:~1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: expected a port as \"443\", \"127.0.0.1:443\", \"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)"},
    {"{\"ports\": {\"80\": {\"tls\": false}, \"[::]:80\": {\"tls\": false}}, " ROUTE "}",
     ":1:34: /ports/[::]:80: the same address as port \"80\""},
    {"{\"ports\": {\"unix:a\": {\"tls\": false}, \"unix:/etc/sallyport/a\": {\"tls\": false}}, " ROUTE "}",
     ":1:38: /ports/unix:~1etc~1sallyport~1a: the same address as port \"unix:a\""},
    {"{\"ports\": {\"443\": true}, " ROUTE "}",
     ":1:19: /ports/443: expected an object, found true"},
    {"{\"ports\": {\"80\": {\"tls\": false, \"limits\": {\"max_head\": 1}}}, " ROUTE "}",
     ":1:44: /ports/80/limits/max_head: unknown key \"max_head\"; did you mean \"max_head_bytes\"?"},
    {"{\"ports\": {\"80\": {\"tls\": false, \"redirect_to_port\": 80}}, " ROUTE "}",
     ":1:53: /ports/80/redirect_to_port: the port would redirect to itself"},
    {"{\"ports\": {\"80\": {\"tls\": false, \"redirect_to_port\": 70000}}, " ROUTE "}",
     ":1:53: /ports/80/redirect_to_port: expected an integer from 0 to 65535, found 70000"},
    {"{\"ports\": {\"80\": {\"tls\": false, \"redirect_to_port\": \"443\"}}, " ROUTE "}",
     ":1:53: /ports/80/redirect_to_port: expected an integer from 0 to 65535, found \"443\""},
    {"{\"ports\": {\"80\": {\"tls\": false, \"accept\": {\"mode\": \"threads\"}}}, " ROUTE "}",
     ":1:52: /ports/80/accept/mode: expected \"per_thread\", \"dedicated\" or \"single\", found \"threads\""},
    {"{\"ports\": {\"80\": {\"tls\": false, \"accept\": {\"backlog\": 0}}}, " ROUTE "}",
     ":1:55: /ports/80/accept/backlog: expected an integer from 1 to 65535 (connections), found 0"},
    {"{\"ports\": {\"80\": {\"tls\": false, \"accept\": {\"backlog\": \"x\"}}}, " ROUTE "}",
     ":1:55: /ports/80/accept/backlog: expected an integer from 1 to 65535 (connections), found \"x\""},
    {"{\"ports\": {\"80\": {\"tls\": false, \"accept\": {\"unix_mode\": \"0999\"}}}, " ROUTE "}",
     ":1:57: /ports/80/accept/unix_mode: expected permission bits as an octal string such as \"0660\", found \"0999\""},
    {"{\"ports\": {\"80\": {\"tls\": false, \"accept\": {\"unix_owner\": \"a:b:c\"}}}, " ROUTE "}",
     ":1:58: /ports/80/accept/unix_owner: expected an owner such as \"user\", \"user:group\" or \":group\", found \"a:b:c\""},
    {"{\"ports\": {\"80\": {\"tls\": false, \"accept\": {\"threads\": 65}}}, " ROUTE "}",
     ":1:55: /ports/80/accept/threads: expected an integer from 1 to 64, found 65"},
    {"{\"ports\": {\"80\": {\"tls\": false, \"accept\": {\"defer_accept_s\": 5}}}, " ROUTE "}",
     ":1:44: /ports/80/accept/defer_accept_s: unknown key \"defer_accept_s\""},
    {"{\"ports\": {\"80\": {\"tls\": false, \"limits\": {\"max_fields\": 1.5}}}, " ROUTE "}",
     ":1:58: /ports/80/limits/max_fields: expected an integer from 1 to 10000 (fields), found 1.5"},
    {"{\"ports\": {\"80\": {\"tls\": false, \"limits\": null}}, " ROUTE "}",
     ":1:43: /ports/80/limits: expected an object, found null"},
    /* TLS. */
    {"{\"ports\": {\"443\": {}}, " ROUTE "}",
     ":1:19: /ports/443: \"bundles\" is missing: expected a list (at least 1), each the name of a bundle (or \"tls\": false)"},
    {"{\"ports\": {\"443\": {\"bundles\": []}}, " BUNDLE ", " ROUTE "}",
     ":1:31: /ports/443/bundles: expected a list (at least 1), each the name of a bundle, found an empty list"},
    {"{\"ports\": {\"443\": {\"bundles\": \"a\"}}, " BUNDLE ", " ROUTE "}",
     ":1:31: /ports/443/bundles: expected a list (at least 1), each the name of a bundle, found \"a\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"b\"]}}, " BUNDLE ", " ROUTE "}",
     ":1:32: /ports/443/bundles/0: no bundle is called \"b\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\", \"a\"]}}, " BUNDLE ", " ROUTE "}",
     ":1:37: /ports/443/bundles/1: the bundle is in the list already"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\", 7]}}, " BUNDLE ", " ROUTE "}",
     ":1:37: /ports/443/bundles/1: expected the name of a bundle, found 7"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"default_bundle\": \"aa\"}}, " BUNDLE ", " ROUTE "}",
     ":1:56: /ports/443/default_bundle: no bundle is called \"aa\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"default_bundle\": \"b\"}}, \"bundles\": {\"a\": {\"certs\": [{\"chain\": \"c\", \"key\": \"k\"}]}, \"b\": {\"certs\": [{\"chain\": \"c\", \"key\": \"k\"}]}}, " ROUTE "}",
     ":1:56: /ports/443/default_bundle: \"b\" is not among the \"bundles\" of the port"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"h2c\": true}}, " BUNDLE ", " ROUTE "}",
     ":1:45: /ports/443/h2c: \"h2c\" is only for a port with \"tls\": false; with TLS, \"alpn\" has \"h2\""},
    {"{\"http2\": {\"max_stream_window_bytes\": 16384}, \"ports\": {\"80\": {\"tls\": false}}, " ROUTE "}",
     ":1:11: /http2: \"max_stream_window_bytes\" is below \"stream_window_bytes\""},
    {"{\"ports\": {\"80\": {\"tls\": false, \"http2\": {\"receive_bytes\": 65536}}}, " ROUTE "}",
     ":1:42: /ports/80/http2: \"receive_bytes\" is below twice \"stream_window_bytes\""},
    {"{\"http2\": {\"budgets\": {\"pings\": -1}}, \"ports\": {\"80\": {\"tls\": false}}, " ROUTE "}",
     ":1:33: /http2/budgets/pings: expected an integer from 0 to 1000000 (frames), found -1"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"alpn\": [\"http/1.0\"]}}, " BUNDLE ", " ROUTE "}",
     ":1:47: /ports/443/alpn/0: expected \"http/1.1\" or \"h2\", found \"http/1.0\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"alpn\": []}}, " BUNDLE ", " ROUTE "}",
     ":1:46: /ports/443/alpn: expected a list (at least 1), each \"http/1.1\" or \"h2\", found an empty list"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"preset\": \"old\"}}, " BUNDLE ", " ROUTE "}",
     ":1:48: /ports/443/preset: expected \"intermediate\" or \"modern\", found \"old\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"strict_sni\": 1}}, " BUNDLE ", " ROUTE "}",
     ":1:52: /ports/443/strict_sni: expected true or false, found 1"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"ticket_secret_file\": \"s\", \"ticket_key_file\": \"k\"}}, " BUNDLE ", " ROUTE "}",
     ":1:84: /ports/443/ticket_key_file: tickets have the keys of this file, or those of \"ticket_secret_file\": not both"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"session_tickets\": false, \"ticket_key_file\": \"k\"}}, " BUNDLE ", " ROUTE "}",
     ":1:83: /ports/443/ticket_key_file: is of no use with \"session_tickets\": false"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"session_tickets\": false, \"early_data\": true}}, " BUNDLE ", " ROUTE "}",
     ":1:78: /ports/443/early_data: is of no use with \"session_tickets\": false"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"ticket_label\": \"x\"}}, " BUNDLE ", " ROUTE "}",
     ":1:54: /ports/443/ticket_label: is only for keys that are derived: needs \"ticket_secret_file\" beside it"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"ticket_lifetime_s\": 604801}}, " BUNDLE ", " ROUTE "}",
     ":1:59: /ports/443/ticket_lifetime_s: expected an integer from 60 to 604800 (seconds), found 604801"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"handshake_timeout\": 5}}, " BUNDLE ", " ROUTE "}",
     ":1:38: /ports/443/handshake_timeout: unknown key \"handshake_timeout\"; did you mean \"handshake_timeout_ms\"?"},
    {"{\"ports\": {\"80\": {\"tls\": false, \"bundles\": [\"a\"]}}, " ROUTE "}",
     ":1:33: /ports/80/bundles: \"bundles\" is only for a port with \"tls\": true\n" "test.json:1:45: /ports/80/bundles/0: no bundle is called \"a\""},
    {"{\"ports\": {\"80\": {\"tls\": false, \"strict_sni\": true}}, " ROUTE "}",
     ":1:33: /ports/80/strict_sni: \"strict_sni\" is only for a port with \"tls\": true"},
    {"{\"ports\": {\"80\": {\"tls\": false, \"alpn\": [\"http/1.1\"]}}, " ROUTE "}",
     ":1:33: /ports/80/alpn: \"alpn\" is only for a port with \"tls\": true"},
    /* Bundles. */
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"]}}, " ROUTE ", \"bundles\": {\"a\": {}}}",
     ":1:97: /bundles/a: \"certs\" is missing: expected a list of certificates (1 to 8)"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"]}}, " ROUTE ", \"bundles\": {\"a\": {\"certs\": []}}}",
     ":1:107: /bundles/a/certs: expected a list of certificates (1 to 8), found an empty list"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"]}}, " ROUTE ", \"bundles\": {\"a\": {\"certs\": {\"chain\": \"c\", \"key\": \"k\"}}}}",
     ":1:107: /bundles/a/certs: expected a list of certificates (1 to 8), found an object"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"]}}, " ROUTE ", \"bundles\": {\"a\": {\"certs\": [{\"key\": \"k\"}]}}}",
     ":1:108: /bundles/a/certs/0: \"chain\" is missing: expected a path"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"]}}, " ROUTE ", \"bundles\": {\"a\": {\"certs\": [{\"cert\": \"c\", \"key\": \"k\", \"chain\": \"c\"}]}}}",
     ":1:109: /bundles/a/certs/0/cert: unknown key \"cert\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"]}}, " ROUTE ", \"bundles\": {\"a\": {\"certs\": [\"c.pem\"]}}}",
     ":1:108: /bundles/a/certs/0: expected an object, found \"c.pem\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"]}}, " ROUTE ", \"bundles\": {\"a\": {\"certs\": [{\"chain\": \"\", \"key\": \"k\"}]}}}",
     ":1:118: /bundles/a/certs/0/chain: expected a path, found \"\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"]}}, " ROUTE ", \"bundles\": {\"a\": {\"certs\": [{\"chain\": \"c\", \"key\": \"k\"}], \"names\": [\"a..b\"]}}}",
     ":1:147: /bundles/a/names/0: expected a host name such as \"shop.example.com\" or \"*.example.com\", found \"a..b\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"]}}, " ROUTE ", \"bundles\": {\"a\": {\"certs\": [{\"chain\": \"c\", \"key\": \"k\"}], \"names\": [\"*\"]}}}",
     ":1:147: /bundles/a/names/0: expected a host name such as \"shop.example.com\" or \"*.example.com\", found \"*\""},
    {"{" PORT ", " ROUTE ", \"bundles\": {\"a b\": {\"certs\": [{\"chain\": \"c\", \"key\": \"k\"}]}}}",
     ":1:87: /bundles/a b: the key has to be a name of letters, digits, '.', '_' and '-'"},
    /* Certificates of clients. */
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"client_auth\": {}}}, " ROUTE ", " BUNDLE "}",
     ":1:53: /ports/443/client_auth: \"mode\" is missing: expected \"off\", \"optional\" or \"require\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"client_auth\": {\"mode\": \"on\"}}}, " ROUTE ", " BUNDLE "}",
     ":1:62: /ports/443/client_auth/mode: expected \"off\", \"optional\" or \"require\", found \"on\""},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"client_auth\": {\"mode\": \"require\"}}}, " ROUTE ", " BUNDLE "}",
     ":1:53: /ports/443/client_auth: needs \"ca_file\": the authorities whose certificates are believed (those of the system vouch for servers, not for your clients)"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"client_auth\": {\"mode\": \"optional\", \"crl_file\": \"x.crl\"}}}, " ROUTE ", " BUNDLE "}",
     ":1:53: /ports/443/client_auth: needs \"ca_file\": the authorities whose certificates are believed (those of the system vouch for servers, not for your clients)"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"client_auth\": {\"mode\": \"require\", \"ca_file\": \"ca.pem\", \"depth\": 11}}}, " ROUTE ", " BUNDLE "}",
     ":1:103: /ports/443/client_auth/depth: expected an integer from 0 to 10 (certificates), found 11"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"client_auth\": {\"mode\": \"require\", \"ca_file\": \"ca.pem\", \"forward\": [\"client-cert-chain\"]}}}, " ROUTE ", " BUNDLE "}",
     ":1:105: /ports/443/client_auth/forward: \"client-cert-chain\" needs \"client-cert\" beside it (RFC 9440 2.3)"},
    {"{\"ports\": {\"443\": {\"bundles\": [\"a\"], \"client_auth\": {\"mode\": \"require\", \"ca_file\": \"ca.pem\", \"forward\": [\"cert\"]}}}, " ROUTE ", " BUNDLE "}",
     ":1:106: /ports/443/client_auth/forward/0: expected \"client-cert\", \"client-cert-chain\", \"verified\", \"subject\" or \"fingerprint\", found \"cert\""},
    /* Backends. */
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"server\": [\"a:1\"]}}}",
     ":1:83: /backends/b: \"servers\" is missing: expected a list of servers (at least 1)\n" "test.json:1:84: /backends/b/server: unknown key \"server\"; did you mean \"servers\"?"},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": []}}}",
     ":1:95: /backends/b/servers: expected a list of servers (at least 1), found an empty list"},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": \"a:1\"}}}",
     ":1:95: /backends/b/servers: expected a list of servers (at least 1), found \"a:1\""},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [\"localhost\"]}}}",
     ":1:96: /backends/b/servers/0: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found \"localhost\""},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [\"a:0\"]}}}",
     ":1:96: /backends/b/servers/0: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found \"a:0\""},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [\"a:65536\"]}}}",
     ":1:96: /backends/b/servers/0: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found \"a:65536\""},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [\":80\"]}}}",
     ":1:96: /backends/b/servers/0: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found \":80\""},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [\"300.1.1.1:80\"]}}}",
     ":1:96: /backends/b/servers/0: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found \"300.1.1.1:80\""},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [\"::1:80\"]}}}",
     ":1:96: /backends/b/servers/0: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found \"::1:80\""},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [\"http://a:80\"]}}}",
     ":1:96: /backends/b/servers/0: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found \"http://a:80\""},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [\"unix:\"]}}}",
     ":1:96: /backends/b/servers/0: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found \"unix:\""},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [{\"addr\": \"a:1\"}]}}}",
     ":1:96: /backends/b/servers/0: \"address\" is missing: expected \"host:port\", \"[::1]:port\" or \"unix:/path\"\n" "test.json:1:97: /backends/b/servers/0/addr: unknown key \"addr\"; did you mean \"address\"?"},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [{\"address\": 80}]}}}",
     ":1:108: /backends/b/servers/0/address: expected \"host:port\", \"[::1]:port\" or \"unix:/path\", found 80"},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [\"a:1\"], \"retries\": 11}}}",
     ":1:115: /backends/b/retries: expected an integer from 0 to 10 (attempts), found 11"},
    {"{" PORT ", \"routes\": [{\"backend\": \"b\"}], \"backends\": {\"b\": {\"servers\": [\"a:1\"], \"pass_host\": \"yes\"}}}",
     ":1:117: /backends/b/pass_host: expected true or false, found \"yes\""},
    /* Routes. */
    {"{" PORT ", \"routes\": [{}]}",
     ":1:46: /routes/0: a route needs one of \"backend\", \"redirect\", \"respond\""},
    {"{" PORT ", \"routes\": [{\"backend\": \"x\"}]}",
     ":1:58: /routes/0/backend: no backend is called \"x\""},
    {"{" PORT ", \"routes\": [{\"backend\": 5}]}",
     ":1:58: /routes/0/backend: expected the name of a backend, found 5"},
    {"{" PORT ", \"routes\": [{\"backend\": \"x\", \"respond\": {}}]}",
     ":1:58: /routes/0/backend: no backend is called \"x\"\n" "test.json:1:63: /routes/0/respond: a route cannot have both \"backend\" and \"respond\""},
    {"{" PORT ", \"routes\": [{\"redirect\": {}}]}",
     ":1:59: /routes/0/redirect: \"location\" is missing: expected a path or an http(s) URL, in which {host} and {path} are filled in"},
    {"{" PORT ", \"routes\": [{\"redirect\": {\"location\": \"x\"}}]}",
     ":1:72: /routes/0/redirect/location: expected a path or an http(s) URL, in which {host} and {path} are filled in, found \"x\""},
    {"{" PORT ", \"routes\": [{\"redirect\": {\"location\": \"/{foo}\"}}]}",
     ":1:72: /routes/0/redirect/location: expected a path or an http(s) URL, in which {host} and {path} are filled in, found \"/{foo}\""},
    {"{" PORT ", \"routes\": [{\"redirect\": {\"status\": 200, \"location\": \"/\"}}]}",
     ":1:70: /routes/0/redirect/status: expected 301, 302, 303, 307 or 308, found 200"},
    {"{" PORT ", \"routes\": [{\"redirect\": \"/\"}]}",
     ":1:59: /routes/0/redirect: expected an object, found \"/\""},
    {"{" PORT ", \"routes\": [{\"respond\": {\"status\": 100}}]}",
     ":1:69: /routes/0/respond/status: expected an integer from 200 to 599, found 100"},
    {"{" PORT ", \"routes\": [{\"respond\": {\"status\": 204, \"text\": \"x\"}}]}",
     ":1:82: /routes/0/respond/text: a 204 response has no text"},
    {"{" PORT ", \"routes\": [{\"respond\": {\"headers\": {\"A b\": \"1\"}}}]}",
     ":1:71: /routes/0/respond/headers/A b: the key has to be the name of a header field"},
    {"{" PORT ", \"routes\": [{\"respond\": {\"headers\": {\"A\": \"1\\r\\nB: 2\"}}}]}",
     ":1:76: /routes/0/respond/headers/A: expected a header value without line breaks, control characters or space around it, found \"1\\r\\nB: 2\""},
    {"{" PORT ", \"routes\": [{\"respond\": {\"headers\": {\"A\": 1}}}]}",
     ":1:76: /routes/0/respond/headers/A: expected a header value without line breaks, control characters or space around it, found 1"},
    {"{" PORT ", \"routes\": [{\"respond\": {\"headers\": {\"Transfer-Encoding\": \"chunked\"}}}]}",
     ":1:71: /routes/0/respond/headers/Transfer-Encoding: this field is set by the program itself"},
    {"{" PORT ", \"routes\": [{\"respond\": {\"body\": \"x\"}}]}",
     ":1:59: /routes/0/respond/body: unknown key \"body\""},
    {"{" PORT ", \"routes\": [{\"path\": \"a\", \"respond\": {}}]}",
     ":1:55: /routes/0/path: expected a path that begins with \"/\", without query, found \"a\""},
    {"{" PORT ", \"routes\": [{\"path\": \"/a?b\", \"respond\": {}}]}",
     ":1:55: /routes/0/path: expected a path that begins with \"/\", without query, found \"/a?b\""},
    {"{" PORT ", \"routes\": [{\"host\": \"a:80\", \"respond\": {}}]}",
     ":1:55: /routes/0/host: expected a host name such as \"shop.example.com\" or \"*.example.com\", found \"a:80\""},
    {"{" PORT ", \"routes\": [{\"host\": \"*.*.a\", \"respond\": {}}]}",
     ":1:55: /routes/0/host: expected a host name such as \"shop.example.com\" or \"*.example.com\", found \"*.*.a\""},
    /* The rest. */
    {"{" PORT ", " ROUTE ", \"threads\": {\"net\": 0}}",
     ":1:94: /threads/net: expected an integer from 1 to 256 or \"auto\", found 0"},
    {"{" PORT ", " ROUTE ", \"threads\": {\"ssl\": \"many\"}}",
     ":1:94: /threads/ssl: expected an integer from 0 to 256 or \"auto\", found \"many\""},
    {"{" PORT ", " ROUTE ", \"threads\": 4}",
     ":1:86: /threads: expected an object, found 4"},
    {"{" PORT ", " ROUTE ", \"threads\": {\"ssl_nice\": 20}}",
     ":1:99: /threads/ssl_nice: expected an integer from 0 to 19, found 20"},
    {"{" PORT ", " ROUTE ", \"handshake\": {\"budget_ms\": 1}}",
     ":1:89: /handshake/budget_ms: unknown key \"budget_ms\"; did you mean \"budget_us\"?"},
    {"{" PORT ", " ROUTE ", \"throttle\": {\"exempt\": [\"10.0.0.1/8\"]}}",
     ":1:99: /throttle/exempt/0: expected a network such as \"10.0.0.0/8\" without host bits, or an address, found \"10.0.0.1/8\""},
    {"{" PORT ", " ROUTE ", \"throttle\": {\"exempt\": [\"localhost\"]}}",
     ":1:99: /throttle/exempt/0: expected a network such as \"10.0.0.0/8\" without host bits, or an address, found \"localhost\""},
    {"{" PORT ", " ROUTE ", \"throttle\": {\"accept_headroom_percent\": 91}}",
     ":1:115: /throttle/accept_headroom_percent: expected an integer from 0 to 90 (percent), found 91"},
    {"{" PORT ", " ROUTE ", \"log\": {\"levels\": \"loud\"}}",
     ":1:93: /log/levels: expected log levels such as \"info\" or \"warn,tls=debug\", found \"loud\""},
    {"{" PORT ", " ROUTE ", \"log\": {\"access\": {\"format\": \"xml\"}}}",
     ":1:104: /log/access/format: expected \"text\" or \"json\", found \"xml\""},
    {"{" PORT ", " ROUTE ", \"log\": {\"access\": \"-\"}}",
     ":1:93: /log/access: expected an object, found \"-\""},
    {"{" PORT ", " ROUTE ", \"log\": {\"path\": \"\"}}",
     ":1:91: /log/path: expected a path or \"-\", found \"\""},
    {"{" PORT ", " ROUTE ", \"forwarding\": {\"trusted\": \"10.0.0.0/8\"}}",
     ":1:101: /forwarding/trusted: expected a list, each a network such as \"10.0.0.0/8\" without host bits, or an address, found \"10.0.0.0/8\""},
    {"{" PORT ", " ROUTE ", \"forwarding\": {\"via\": null}}",
     ":1:97: /forwarding/via: expected true or false, found null"},
};
/* clang-format on */

static void every_wrong_configuration_is_answered_at_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < SP_COUNT_OF(wrongs); i++) {
        char lines[4096];

        (void)snprintf(lines, sizeof(lines), "test.json%s\n", wrongs[i].lines);
        assert_problems(wrongs[i].text, lines);
    }
}

static void all_problems_are_told_at_once_in_the_order_of_the_file(void **state)
{
    (void)state;
    assert_problems(
        "{\n"
        "  \"ports\": {\n"
        "    \"443\": {\n"
        "      \"bundles\": [\"shpo\"],\n"
        "      \"accept\": { \"backlog\": \"x\" },\n"
        "      \"limts\": {}\n"
        "    },\n"
        "    \"http\": { \"tls\": false }\n"
        "  },\n"
        "  \"bundles\": {\n"
        "    \"shop\": { \"certs\": [{ \"key\": \"c.key\" }] }\n"
        "  },\n"
        "  \"routes\": [\n"
        "    { \"path\": \"/\", \"backend\": \"app\" },\n"
        "    { \"path\": \"x\" }\n"
        "  ],\n"
        "  \"threads\": { \"net\": 1.5 }\n"
        "}\n",
        "test.json:4:19: /ports/443/bundles/0: no bundle is called \"shpo\"; did you "
        "mean \"shop\"?\n"
        "test.json:5:30: /ports/443/accept/backlog: expected an integer from 1 to 65535 "
        "(connections), found \"x\"\n"
        "test.json:6:7: /ports/443/limts: unknown key \"limts\"; did you mean "
        "\"limits\"?\n"
        "test.json:8:5: /ports/http: expected a port as \"443\", \"127.0.0.1:443\", "
        "\"[::1]:443\" or \"unix:/path\" (a path of at most 107 bytes)\n"
        "test.json:11:25: /bundles/shop/certs/0: \"chain\" is missing: expected a path\n"
        "test.json:14:31: /routes/0/backend: no backend is called \"app\"\n"
        "test.json:15:5: /routes/1: a route needs one of \"backend\", \"redirect\", "
        "\"respond\"\n"
        "test.json:15:15: /routes/1/path: expected a path that begins with \"/\", "
        "without query, found \"x\"\n"
        "test.json:17:23: /threads/net: expected an integer from 1 to 256 or \"auto\", "
        "found 1.5\n");
}

static void lines_of_dos_files_are_counted_the_same(void **state)
{
    (void)state;
    assert_problems("{\r\n  " PORT ",\r\n  " ROUTE ",\r\n  \"prots\": 1\r\n}\r\n",
                    "test.json:4:3: /prots: unknown key \"prots\"; did you mean \"ports\"?\n");
}

static void keys_with_escapes_and_other_letters_have_places(void **state)
{
    (void)state;
    assert_problems("{" PORT ", " ROUTE ", \"\\u00fcber/~\\n\": 1, \"логи\": 2, \"usr\": 3}",
                    "test.json:1:75: /über~1~0?: unknown key \"über/~\\n\"\n"
                    "test.json:1:95: /логи: unknown key \"логи\"\n"
                    "test.json:1:106: /usr: unknown key \"usr\"; did you mean \"user\"?\n");
}

static void a_nul_byte_is_refused_wherever_it_is(void **state)
{
    static const char text[] = "{\n\"ä\": 1\0, \"b\": 2}";
    struct config_problems problems;
    char *lines;

    (void)state;
    config_problems_init(&problems);
    assert_null(
        config_parse((struct view){text, sizeof(text) - 1}, "test.json", "/etc", &problems));
    lines = problem_lines(&problems);
    assert_string_equal(lines, "test.json:2:7: a NUL byte is not JSON\n");
    free(lines);
    config_problems_fini(&problems);
}

static void assert_warned(const char *text, const char *lines)
{
    struct parsed *p = parse(text);
    char *printed = problem_lines(&p->problems);

    assert_string_equal(printed, lines);
    assert_non_null(p->config); /* it can be used all the same */
    assert_int_equal(p->problems.n_errors, 0);
    free(printed);
    parsed_free(p);
}

#define CERT "\"certs\": [{\"chain\": \"c\", \"key\": \"k\"}]"

static void what_is_not_used_is_a_warning(void **state)
{
    (void)state;
    assert_warned("{" PORT ", " ROUTE ",\n" BUNDLE
                  ",\n\"backends\": {\"b\": {\"servers\": [\"a:1\"]}}}",
                  "test.json:2:18: /bundles/a: warning: no port uses this bundle\n"
                  "test.json:3:19: /backends/b: warning: no route uses this backend\n");
}

static void authorities_that_vouch_for_nobody_are_a_warning(void **state)
{
    (void)state;
    assert_warned(
        "{\"ports\": {\"443\": {\"bundles\": [\"a\"],\n\"client_auth\": {\"mode\": \"off\", "
        "\"ca_file\": \"ca.pem\"}}}, " ROUTE ", " BUNDLE "}",
        "test.json:2:43: /ports/443/client_auth/ca_file: warning: nobody is asked for a "
        "certificate: \"mode\" is \"off\"\n");
}

static void a_name_in_two_bundles_of_a_port_is_a_warning(void **state)
{
    const char *names = "\"bundles\": {\"a\": {" CERT ", \"names\": [\"x.com\", \"*.y.com\"]},\n"
                        "\"b\": {" CERT ", \"names\": [\"z.com\", \"X.com\"]}}";
    char text[1000];

    (void)state;
    (void)snprintf(text, sizeof(text),
                   "{\"ports\": {\"443\": {\"bundles\": [\"a\", \"b\"]}}, " ROUTE ",\n%s}", names);
    assert_warned(text, "test.json:3:65: /bundles/b/names/1: warning: bundle \"a\" has this name "
                        "too, and comes first on port \"443\"\n");
    /* On two ports nobody can take one for the other. */
    (void)snprintf(
        text, sizeof(text),
        "{\"ports\": {\"443\": {\"bundles\": [\"a\"]}, \"444\": {\"bundles\": [\"b\"]}}, " ROUTE
        ",\n%s}",
        names);
    assert_warned(text, "");
}

static void a_route_behind_one_for_everything_is_a_warning(void **state)
{
    (void)state;
    assert_warned(
        "{" PORT ", \"routes\": [{\"path\": \"/a\", \"respond\": {}}, {\"path\": \"/\", "
        "\"respond\": {}}, {\"host\": \"a\", \"respond\": {}}, {\"respond\": {}}]}",
        "test.json:1:107: /routes/2: warning: never reached: route 1 before it takes every "
        "request\n");
}

static void errors_come_without_warnings(void **state)
{
    (void)state;
    assert_problems("{" PORT ", " ROUTE ", " BUNDLE ", \"usr\": 1}",
                    "test.json:1:134: /usr: unknown key \"usr\"; did you mean \"user\"?\n");
}

/* A thousand names that nobody knows, among a thousand: an answer in no time. */
static void many_errors_are_bounded_work(void **state)
{
    enum { N = 2000 };
    char *text = malloc((size_t)N * 120);
    struct parsed *p;
    size_t len = 0;

    (void)state;
    assert_non_null(text);
    len += (size_t)sprintf(text + len, "{" PORT ", \"backends\": {");
    for (int i = 0; i < N; i++)
        len += (size_t)sprintf(text + len, "%s\"backend-%d\": {\"servers\": [\"a:1\"]}",
                               i == 0 ? "" : ", ", i);
    len += (size_t)sprintf(text + len, "}, \"routes\": [");
    for (int i = 0; i < N; i++)
        len +=
            (size_t)sprintf(text + len, "%s{\"backend\": \"backent-%d\"}", i == 0 ? "" : ", ", i);
    len += (size_t)sprintf(text + len, "]}");
    p = parse(text);
    assert_null(p->config);
    assert_int_equal(p->problems.n, N);
    parsed_free(p);
    free(text);
}

static void deep_nesting_is_refused(void **state)
{
    char text[5000];
    struct parsed *p;

    (void)state;
    memset(text, '[', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    p = parse(text);
    assert_null(p->config);
    assert_int_equal(p->problems.n, 1);
    assert_view(p->problems.v[0].text, "maximum parsing depth reached near '['");
    parsed_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wrong_configuration_is_answered_at_its_place),
        cmocka_unit_test(all_problems_are_told_at_once_in_the_order_of_the_file),
        cmocka_unit_test(lines_of_dos_files_are_counted_the_same),
        cmocka_unit_test(keys_with_escapes_and_other_letters_have_places),
        cmocka_unit_test(a_nul_byte_is_refused_wherever_it_is),
        cmocka_unit_test(what_is_not_used_is_a_warning),
        cmocka_unit_test(authorities_that_vouch_for_nobody_are_a_warning),
        cmocka_unit_test(a_name_in_two_bundles_of_a_port_is_a_warning),
        cmocka_unit_test(a_route_behind_one_for_everything_is_a_warning),
        cmocka_unit_test(errors_come_without_warnings),
        cmocka_unit_test(many_errors_are_bounded_work),
        cmocka_unit_test(deep_nesting_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
