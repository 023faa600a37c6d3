"""A real nginx as backend, in a folder of its own, on a port that was free."""
import socket
import subprocess
from pathlib import Path

from .proxy import wait_until

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 16384; }}
http {{
    access_log {access_log};
    default_type application/octet-stream;
    types {{ text/html html; text/plain txt; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    keepalive_requests 1000000;
    sendfile on;
    tcp_nodelay on;
    server {{
        listen {address} backlog=4096;
        root {root};
        location /empty {{ return 204; }}
        location /text {{ return 200 "hello from nginx\\n"; }}
        location /old {{ return 301 /text; }}
    }}
}}
"""


class Nginx:
    def __init__(self, folder: Path, access_log: bool = False):
        folder.mkdir(parents=True, exist_ok=True)
        self.root = folder / "root"
        self.root.mkdir(exist_ok=True)
        # Its workers give root up, and the folders of a test are the user's alone.
        for parent in [self.root, *self.root.parents]:
            if parent.stat().st_mode & 0o005 != 0o005:
                parent.chmod(parent.stat().st_mode | 0o055)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{sock.getsockname()[1]}"
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(
            folder=folder, root=self.root, address=self.address,
            access_log=f"{folder}/access.log" if access_log else "off"))
        self._output = folder / "nginx.out"
        with open(self._output, "ab") as out:
            self.process = subprocess.Popen(["/usr/sbin/nginx", "-c", str(config)], stdout=out,
                                            stderr=out, stdin=subprocess.DEVNULL)
        wait_until(self._answers, 10, "nginx")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self._output.read_text()
        host, port = self.address.split(":")
        try:
            socket.create_connection((host, int(port)), 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
