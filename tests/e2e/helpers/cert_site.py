"""A proxy whose certificates a test changes."""
from .env import patience
from .issuing import bundle, replace

TLS = "127.0.0.1:0"
# What is proved here is about certificates: on a slow machine a few clients in a closed loop are an
# overload, and some would be refused for that.
PATIENT = {"max_wait_ms": int(patience(5000)), "target_wait_ms": int(patience(5000)),
           "shed_after_ms": 0}
ANSWER = [{"respond": {"text": "hello\n"}}]


class Site:
    """A proxy with bundles "shop" (shop.test) and "api" (api.test), each in a file of its own."""

    def __init__(self, start, issuer, **config):
        self.issuer = issuer
        config.setdefault("certificates", {"watch": False})
        self.files = {name: start.folder / f"{name}-live.pem" for name in ("shop", "api")}
        self.serials = {name: self.renew(name) for name in self.files}
        self.proxy = start.proxy(ports={TLS: {"bundles": ["shop", "api"]}}, routes=ANSWER,
                                 bundles={name: bundle(path) for name, path in self.files.items()},
                                 handshake=PATIENT, **config)

    def renew(self, name: str, **options) -> str:
        """Another certificate in the file; its serial number."""
        made = self.issuer.make(f"{name}.test", **options)
        replace(self.files[name], made.pem)
        return made.serial

    def reload(self, *options):
        return self.proxy.control.command("certs", "reload", *options)
