"""Where a measurement was made."""

import os
import platform
import subprocess


def _first(path, prefix):
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith(prefix):
                    return line.rstrip("\n").partition(":" if ":" in line else "=")[2].strip(' "')
    except OSError:
        pass
    return "unknown"


def _output(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
        return (done.stdout + done.stderr).strip()
    except OSError:
        return ""


def cores():
    return sorted(os.sched_getaffinity(0))


def describe():
    return {
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": len(cores()),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": _first("/etc/os-release", "PRETTY_NAME"),
        "kernel": platform.release(),
        "openssl": _output(["openssl", "version"]).partition("(")[0].strip(),
        "virtual": "hypervisor" in _first("/proc/cpuinfo", "flags"),
    }


def somaxconn():
    return int(_first_line("/proc/sys/net/core/somaxconn"))


def _first_line(path):
    with open(path, encoding="ascii") as file:
        return file.readline()
