"""The programs that are compared, each set up to do the same.

The same for all: TLS 1.2 and 1.3, X25519, AES-128-GCM first and the server's order, one certificate,
stateless session tickets and no session cache, a backlog of 4096, HTTP/1.1 with keep-alive on both
sides, HTTP/2 for those who ask for it by ALPN, no access log, X-Forwarded-For and -Proto where the program speaks HTTP, no limit on requests
per connection, long timeouts, bodies passed on as they come where the program can. Everything else
is the program's default."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from . import procs

SUITES_13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
SUITES_12 = ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
             "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
             "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305")
BACKLOG = 4096
CONNECTIONS = 19000  # below the usual limit of 20,000 descriptors
HOUR_S = 3600


@dataclasses.dataclass
class Settings:
    dir: pathlib.Path  # the peer's own, empty
    port: int
    origin: int  # its port
    workers: int
    certs: list  # [(host name, PEM file with certificate and key)]; the first is the default


class Peer:
    name = ""
    program = ""
    most_idle = 10000  # connections; fewer where each takes two of 20,000 descriptors
    reload_signal = None  # None: cannot change certificates while it runs, or not by a signal

    def path(self):
        return shutil.which(self.program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

    def version(self):
        return re.search(r"\d+(\.\d+)+", self.output(self.version_args)).group()

    version_args = ["-v"]
    speaks_http2 = True

    def output(self, args):
        done = subprocess.run([self.path(), *args], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def configure(self, s):
        """Writes the files; the command line."""
        raise NotImplementedError

    def start(self, s, cores):
        return procs.Process(self.configure(s), cores, s.dir / "output.log", cwd=s.dir,
                             env=self.environment(s))

    def environment(self, s):
        return {}

    def with_settings(self, settings):
        """Another peer, which differs in these, "key=value"."""
        raise procs.ProcessFailed(f"{self.name} takes no settings: {settings}")


def _write(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


def _as_root(text):
    """What a program needs to give up root; nothing where it has none."""
    return text if os.geteuid() == 0 else ""


class Nginx(Peer):
    name, program = "nginx", "nginx"
    reload_signal = signal.SIGHUP
    backlog = BACKLOG

    def configure(self, s):
        temp = "".join(f"{kind}_temp_path {s.dir}/{kind};\n" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = f"""
{_as_root("user nobody nogroup;")}
worker_processes {s.workers};
daemon off;
pid {s.dir}/pid;
error_log {s.dir}/error.log error;
events {{ worker_connections {CONNECTIONS}; }}
http {{
{temp}access_log off;
keepalive_requests 1000000000;
keepalive_timeout {HOUR_S}s;
http2_max_concurrent_streams 128;
client_max_body_size 0;
server_names_hash_max_size 65536;
server_names_hash_bucket_size 128;
ssl_protocols TLSv1.2 TLSv1.3;
ssl_ecdh_curve X25519;
ssl_ciphers {SUITES_12};
ssl_conf_command Ciphersuites {SUITES_13};
ssl_prefer_server_ciphers on;
ssl_session_tickets on;
proxy_http_version 1.1;
proxy_set_header Connection "";
proxy_set_header Host $host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
proxy_request_buffering off;
proxy_max_temp_file_size 0;
upstream origin {{
server 127.0.0.1:{s.origin};
keepalive 2048;
keepalive_requests 1000000000;
keepalive_timeout {HOUR_S}s;
}}
{"".join(self._server(s, i, host, pem) for i, (host, pem) in enumerate(s.certs))}}}
"""
        return [self.path(), "-c", _write(s.dir / "nginx.conf", config), "-e", s.dir / "error.log"]

    def _server(self, s, i, host, pem):
        options = f" backlog={self.backlog} default_server" if i == 0 else ""
        return (f"server {{ listen 127.0.0.1:{s.port} ssl http2{options}; server_name {host};\n"
                f"ssl_certificate {pem}; ssl_certificate_key {pem};\n"
                f"location / {{ proxy_pass http://origin; }} }}\n")


class NginxDefaultBacklog(Nginx):
    name, backlog = "nginx-511", 511


class Haproxy(Peer):
    name, program = "haproxy", "haproxy"
    reload_signal = signal.SIGUSR2

    def configure(self, s):
        crt = f"crt {s.certs[0][1]}"
        if len(s.certs) > 1:
            crt = "crt-list " + _write(s.dir / "crt-list", "".join(f"{p}\n" for _, p in s.certs))
        config = f"""
global
    {_as_root("user nobody")}
    nbthread {s.workers}
    no strict-limits
    maxconn {CONNECTIONS}
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.2
    ssl-default-bind-ciphers {SUITES_12}
    ssl-default-bind-ciphersuites {SUITES_13}
    ssl-default-bind-curves X25519
defaults
    mode http
    timeout connect 5s
    timeout client {HOUR_S}s
    timeout server {HOUR_S}s
    timeout http-keep-alive {HOUR_S}s
    option forwardfor
    http-reuse always
frontend front
    bind 127.0.0.1:{s.port} ssl {crt} alpn h2,http/1.1 backlog {BACKLOG}
    maxconn {CONNECTIONS}
    http-request set-header X-Forwarded-Proto https
    default_backend origin
backend origin
    server origin 127.0.0.1:{s.origin}
"""
        # A master process is what can be told to reload.
        master = ["-W"] if len(s.certs) > 1 else []
        return [self.path(), *master, "-db", "-f", _write(s.dir / "haproxy.cfg", config)]


class Hitch(Peer):
    """TLS to TCP: it does not look at HTTP, which is the least that a proxy can do."""
    speaks_http2 = False
    name, program = "hitch", "hitch"
    version_args = ["--version"]
    most_idle = 9500
    reload_signal = signal.SIGHUP

    def configure(self, s):
        config = f"""
frontend = {{ host = "127.0.0.1" port = "{s.port}" }}
backend = "[127.0.0.1]:{s.origin}"
workers = {s.workers}
backlog = {BACKLOG}
tls-protos = TLSv1.2 TLSv1.3
ciphers = "{SUITES_12}"
ciphersuites = "{SUITES_13}"
prefer-server-ciphers = on
ecdh-curve = "X25519"
alpn-protos = "http/1.1"
daemon = off
syslog = off
log-level = 0
ocsp-dir = ""
{_as_root('user = "nobody"')}
{"".join(f'pem-file = "{pem}"{chr(10)}' for _, pem in reversed(s.certs))}"""
        return [self.path(), "--config", _write(s.dir / "hitch.conf", config)]


class H2o(Peer):
    name, program = "h2o", "h2o"
    version_args = ["--version"]

    def configure(self, s):
        tls = (f'minimum-version: TLSv1.2, cipher-suite: "{SUITES_12}", '
               "cipher-preference: server, neverbleed: OFF, ocsp-update-interval: 0")
        hosts = "".join(f"""
  "{host}:{s.port}":
    listen: {{ host: 127.0.0.1, port: {s.port},
               ssl: {{ certificate-file: "{pem}", key-file: "{pem}", {tls} }} }}
    paths: {{ "/": {{ proxy.reverse.url: "http://127.0.0.1:{s.origin}/" }} }}"""
                        for host, pem in s.certs)
        config = f"""
{_as_root("user: nobody")}
num-threads: {s.workers}
max-connections: {CONNECTIONS}
pid-file: {s.dir}/pid
error-log: {s.dir}/error.log
http1-request-timeout: {HOUR_S}
ssl-session-resumption: {{ mode: ticket, ticket-store: internal }}
proxy.preserve-host: ON
proxy.timeout.keepalive: {HOUR_S * 1000}
hosts:{hosts}
"""
        return [self.path(), "-m", "worker", "-c", _write(s.dir / "h2o.conf", config)]


class TrafficServer(Peer):
    name, program = "trafficserver", "traffic_server"
    version_args = ["--version"]

    def configure(self, s):
        etc = s.dir / "etc"
        shutil.copytree("/etc/trafficserver", etc)
        folders = {name: s.dir / name for name in ("cache", "run", "log", "data")}
        for folder in folders.values():
            folder.mkdir()
            if os.geteuid() == 0:
                shutil.chown(folder, "trafficserver")
        layout = {"prefix": s.dir, "exec_prefix": s.dir, "bindir": "/usr/bin", "sbindir": "/usr/bin",
                  "sysconfdir": etc, "datadir": folders["data"], "includedir": s.dir,
                  "libdir": "/usr/lib/trafficserver", "libexecdir": "/usr/lib/trafficserver/modules",
                  "localstatedir": s.dir, "runtimedir": folders["run"], "logdir": folders["log"],
                  "cachedir": folders["cache"]}
        records = f"""
{_as_root("CONFIG proxy.config.admin.user_id STRING trafficserver")}
CONFIG proxy.config.http.server_ports STRING {s.port}:ssl:ipv4:ip-in=127.0.0.1
CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT {s.workers}
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.net.listen_backlog INT {BACKLOG}
CONFIG proxy.config.net.connections_throttle INT {CONNECTIONS}
CONFIG proxy.config.net.max_connections_in INT {CONNECTIONS}
CONFIG proxy.config.http.cache.http INT 0
CONFIG proxy.config.reverse_proxy.enabled INT 1
CONFIG proxy.config.url_remap.remap_required INT 1
CONFIG proxy.config.url_remap.pristine_host_hdr INT 1
CONFIG proxy.config.http.insert_squid_x_forwarded_for INT 1
CONFIG proxy.config.http.server_session_sharing.match STRING ip
CONFIG proxy.config.http.server_session_sharing.pool STRING thread
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT {HOUR_S}
CONFIG proxy.config.http.keep_alive_no_activity_timeout_out INT {HOUR_S}
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.diags.debug.enabled INT 0
CONFIG proxy.config.ssl.server.session_ticket.enable INT 1
CONFIG proxy.config.ssl.session_cache INT 0
CONFIG proxy.config.ssl.TLSv1 INT 0
CONFIG proxy.config.ssl.TLSv1_1 INT 0
CONFIG proxy.config.ssl.server.honor_cipher_order INT 1
CONFIG proxy.config.ssl.server.cipher_suite STRING {SUITES_12}
CONFIG proxy.config.ssl.server.TLSv1_3.cipher_suites STRING {SUITES_13}
CONFIG proxy.config.ssl.server.groups_list STRING X25519
"""
        for name, text in (
                ("records.config", records),
                ("storage.config", ""),
                ("remap.config", f"map / http://127.0.0.1:{s.origin}/\n"),
                ("ssl_multicert.config", "".join(
                    f"{'dest_ip=*' if i == 0 else ''} ssl_cert_name={pem} ssl_key_name={pem}\n"
                    for i, (_, pem) in enumerate(s.certs)))):
            _write(etc / name, text)
        layout = "".join(f"{key}: {value}\n" for key, value in layout.items())
        return [self.path(), "--run-root=" + _write(s.dir / "runroot.yaml", layout)]


class Sallyport(Peer):
    """Handshakes on a thread of their own beside each data thread."""
    name, program = "sallyport", "sallyport"
    version_args = ["version"]
    ssl_per_worker = 1
    reload_signal = signal.SIGHUP

    def __init__(self, program, settings=()):
        self._path = program
        self._settings = settings
        self.name = "+".join([self.name, *settings])

    def with_settings(self, settings):
        """Keys of the configuration: "threads.ssl_nice=19"."""
        return type(self)(self._path, settings)

    def path(self):
        return self._path

    def configure(self, s):
        bundles = {f"b{i}": {"certs": [{"chain": str(pem), "key": str(pem)}]}
                   for i, (_, pem) in enumerate(s.certs)}
        config = {
            "ports": {f"127.0.0.1:{s.port}": {"bundles": list(bundles),
                                              "accept": {"backlog": BACKLOG}}},
            "bundles": bundles,
            "backends": {"origin": {"servers": [f"127.0.0.1:{s.origin}"], "keep_alive": 2048,
                                    "keep_alive_timeout_ms": HOUR_S * 1000}},
            "routes": [{"backend": "origin"}],
            "limits": {"keep_alive_timeout_ms": HOUR_S * 1000},
            "throttle": {"max_connections": CONNECTIONS, "accept_headroom_percent": 0},
            "forwarding": {"request_id": False},
            "threads": {"net": s.workers, "ssl": s.workers * self.ssl_per_worker},
            "log": {"levels": "warn"},
        }
        for setting in self._settings:
            path, _, value = setting.partition("=")
            *objects, key = path.split(".")
            at = config
            for name in objects:
                at = at.setdefault(name, {})
            at[key] = json.loads(value)
        return [self.path(), "run", "-c", _write(s.dir / "sallyport.json", json.dumps(config))]


class SallyportOneLoop(Sallyport):
    """Handshakes and data in one loop."""
    name = "sallyport-loop"
    ssl_per_worker = 0


def all_peers(sallyport_program):
    return [Sallyport(sallyport_program), SallyportOneLoop(sallyport_program), Nginx(),
            NginxDefaultBacklog(), Haproxy(), Hitch(), H2o(), TrafficServer()]
