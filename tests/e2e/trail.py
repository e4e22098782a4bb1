"""What a client may hold against a vault that was killed: leases it was given, records and checkpoints it saw."""

import base64
import hashlib
import http.client
import itertools
import json
import random
import threading

from harness import await_that, verify_bundle


def leaf_of(line):
    return hashlib.sha256(b"\0" + line.encode()).digest()


class Tree:
    """The RFC 6962 root of the leaves so far, and of every size at which it was asked to remember it."""

    def __init__(self):
        self.size, self._edge = 0, []

    def add(self, leaf):
        level, node = 0, leaf
        while self.size >> level & 1:
            node = hashlib.sha256(b"\1" + self._edge.pop() + node).digest()
            level += 1
        self._edge.append(node)
        self.size += 1

    def root(self):
        node = None
        for left in reversed(self._edge):
            node = left if node is None else hashlib.sha256(b"\1" + left + node).digest()
        return node or hashlib.sha256(b"").digest()


class Log:
    """One log as it was read bit by bit. What was read once has to stay as it is."""

    def __init__(self, vault, name, who=None):
        self.vault, self.name, self.who = vault, name, who
        self.leaves, self.leases, self.types = [], [], []
        self.time = ""
        self.checkpoints = {}  # size: root, as the vault signed them at any time
        self._tree, self._client = Tree(), None

    def get(self, path):
        self._client = self._client or self.vault.client(self.who or self.vault.operator)
        return self._client("GET", path)

    def _patiently(self, path):
        """The answer; None if there was none, because the server that was asked is dying."""
        try:
            reply = self.get(path)
        except (OSError, http.client.HTTPException):
            return None
        return reply if reply.status == 200 else None

    def glance(self):
        """Remembers a checkpoint and the newest records; what of that was lost later would be a lie."""
        reply = self.get(f"/v1/logs/{self.name}")
        if reply.status == 200:
            _, size, root = reply.json["checkpoint"].split("\n")[:3]
            root = base64.b64decode(root)
            assert self.checkpoints.setdefault(int(size), root) == root, f"two trees of {size} records were signed"
        return reply.status == 200

    def read_on(self):
        """Reads what is new and checks that it continues what was there, and that it agrees with what was signed."""
        while True:
            path = f"/v1/logs/{self.name}/records?from={max(0, len(self.leaves) - 1)}&limit=500"
            reply = await_that(f"records of {self.name} are given out", lambda: self._patiently(path))
            lines = reply.text.splitlines()
            if self.leaves:
                assert lines and leaf_of(lines.pop(0)) == self.leaves[-1], "a record changed after it was read"
            for line in lines:
                self._take(line)
            if len(lines) < 400:  # what came meanwhile is for the next time, or this would not end under load
                break
        behind = [size for size in self.checkpoints if size > len(self.leaves)]
        assert not behind, f"{self.name}: {max(behind)} records were signed, {len(self.leaves)} are there"

    def _take(self, line):
        record = json.loads(line)
        number = len(self.leaves)
        assert record["seq"] == number, f"{self.name}: {record['seq']} follows {number - 1}"
        assert not self.leaves or record["prev"] == self.leaves[-1].hex(), f"{self.name}: {number} is no continuation"
        assert record["time"] >= self.time, f"{self.name}: time runs backwards at {number}"
        self._check_root()
        self.time = record["time"]
        self.leaves.append(leaf_of(line))
        self._tree.add(self.leaves[-1])
        self.types.append(record["type"])
        if record["type"] == "lease.issued":
            self.leases.append(record["lease_id"])
        self._check_root()

    def _check_root(self):
        signed = self.checkpoints.get(len(self.leaves))
        assert signed in (None, self._tree.root()), f"{self.name}: another tree of {len(self.leaves)} was signed"

    def holds(self, given):
        assert len(set(self.leases)) == len(self.leases), f"{self.name}: a lease is recorded twice"
        missing = set(given) - set(self.leases)
        assert not missing, f"{self.name}: {len(missing)} answered leases are not in the trail"


class Load:
    """Gateways that lease without pause over connections that stay, and remember every lease they were given."""

    def __init__(self, vault, customers, threads=6):
        self.vault, self.customers = vault, customers
        self.given = {customer.name: [] for customer in customers}
        self.answered = 0
        self.wrong = []
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(customer,))
                         for customer in itertools.islice(itertools.cycle(customers), threads)]

    def _work(self, customer):
        client = self.vault.client(customer.gateway)
        while not self._stop.is_set():
            try:
                reply = client("POST", "/v1/leases", {"key": customer.path})
            except (OSError, http.client.HTTPException):
                self._stop.wait(random.uniform(0.005, 0.02))  # nobody listens: knock again soon
                continue
            if reply.status == 201:
                with self._news:
                    if reply.json["value"] != customer.value:
                        self.wrong.append((customer.name, len(reply.json["value"])))
                    self.given[customer.name].append(reply.json["lease"][:32])
                    self.answered += 1
                    self._news.notify_all()
            elif reply.status == 503:
                self._stop.wait(random.uniform(0.005, 0.02))
        client.close()

    def await_answers(self, count, seconds=60):
        with self._news:
            target = self.answered + count
            assert self._news.wait_for(lambda: self.answered >= target, seconds), "no lease is answered any more"

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def settle(vault, load, logs):
    """After the last round: every lease is there, both verifiers agree, and the MACs too."""
    assert not load.wrong, load.wrong
    for log in logs:
        before = -1
        while len(log.leaves) > before:
            before = len(log.leaves)
            log.read_on()
        log.holds(load.given.get(log.name, ()))
        vault.cli("audit", "verify", log.name)
        code, said = verify_bundle(vault.export(log.name))
        assert code == 0, said
        for start in range(0, len(log.leaves), 500):
            end = min(start + 500, len(log.leaves))
            assert vault.api("POST", f"/v1/logs/{log.name}/check", {"from": start, "to": end})["bad"] is None


def open_again(vault):
    """After a death of keeper or supervisor."""
    vault.come_back()
    assert vault.state == "locked"
    unlock(vault)


def unlock(vault):
    """Opens it; whoever unlocks remembers what was signed, and must find it continued."""
    done = vault.unlock()
    assert vault.state == "unlocked", done
