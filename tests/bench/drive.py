"""What is compared: the vault, and a bare listener of the same make (bench_floor), driven alike by bench_load."""

import os
import statistics
import subprocess
import tempfile
import time

import harness

TOOLS = harness.BIN / "tests"
RECORD = 512  # bytes of the disk's appends: about one record


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(*pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    return total / 1024


def fsyncs_per_second(directory, seconds):
    """Appends and fdatasyncs in a loop."""
    with tempfile.NamedTemporaryFile(dir=directory, buffering=0) as file:
        count, began, block = 0, time.monotonic(), os.urandom(RECORD)
        while time.monotonic() - began < seconds:
            file.write(block)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.monotonic() - began)


class Driver:
    """Sends requests as one gateway, to the vault or to the floor."""

    def __init__(self, vault, gateway, reply, threads=2):
        self.vault, self.gateway = vault, gateway
        (vault.files / "reply").write_text(reply)
        self.floor_port = harness.free_port()
        self.floor = subprocess.Popen(
            [TOOLS / "bench_floor", str(self.floor_port), vault.data / "tls",
             vault.local("GET", "/v1/status").json["vault"], str(threads), vault.files / "reply"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.floor.stdout.readline() != b"ready\n":
            raise SystemExit("the floor does not listen")

    def close(self):
        self.floor.stdin.close()
        self.floor.wait()

    def requests(self, name, lines):
        path = self.vault.files / f"{name}.requests"
        with open(path, "w") as file:
            file.writelines(line + "\n" for line in lines)
        return path

    def leases(self, keys, **more):
        """A file of requests for these keys in turn."""
        members = "".join(f',"{name}":{value}' for name, value in more.items())
        return self.requests(harness.unique("lease"), (f'POST /v1/leases {{"key":"{key}"{members}}}' for key in keys))

    def run(self, port, requests, expect=201, **options):
        """One run of the driver: {figure: value}."""
        words = [str(word) for pair in options.items() for word in pair]
        done = subprocess.run(
            [TOOLS / "bench_load", str(port), self.gateway.certificate, self.gateway.key, requests, *words],
            capture_output=True, text=True, preexec_fn=harness.terminal.die_with_parent)
        if done.returncode:
            raise SystemExit(f"the driver failed: {done.stderr}\n{self.vault.log()[-2000:]}")
        got = {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}
        strange = [name for name in got if name.startswith("status_") and name != f"status_{expect}"]
        if strange:
            raise SystemExit(f"unexpected answers: {got}\n{self.vault.log()[-2000:]}")
        return got

    def on_vault(self, requests, **options):
        """With the processor time of both processes for a reply, in microseconds."""
        pids = self.vault.processes()
        before = {role: cpu_seconds(pids[role]) for role in ("server", "keeper")}
        got = self.run(self.vault.port, requests, **options)
        for role, seconds in before.items():
            got[f"cpu_us_{role}"] = (cpu_seconds(pids[role]) - seconds) * 1e6 / got["replies"]
        return got

    def on_floor(self, requests, **options):
        before = cpu_seconds(self.floor.pid)
        got = self.run(self.floor_port, requests, **{**options, "expect": 201})
        got["cpu_us_floor"] = (cpu_seconds(self.floor.pid) - before) * 1e6 / got["replies"]
        return got

    def compared(self, requests, rounds, **options):
        """Floor and vault in turn, several times: the medians of (floor, vault) and of their ratio."""
        pairs = [(self.on_floor(requests, **options), self.on_vault(requests, **options)) for _ in range(rounds)]
        return (*(middle([pair[i] for pair in pairs]) for i in (0, 1)),
                statistics.median(vault["rate"] / floor["rate"] for floor, vault in pairs))

    def tokens(self, requests, count):
        """So many leases, taken now."""
        path = self.vault.files / "tokens"
        self.run(self.vault.port, requests, connections=64, seconds=600, replies=count, save=path)
        return path.read_text().split()[:count]


def middle(runs):
    """The median of each figure."""
    return {name: statistics.median(run.get(name, 0) for run in runs) for name in runs[0]}
