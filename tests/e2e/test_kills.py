"""It never loses: SIGKILL again and again under load. `STRONGROOM_KILLS` is the number of rounds."""

import contextlib
import http.client
import os
import random
import signal
import threading
import time
from pathlib import Path

import power
from harness import await_that
from trail import Load, Log, open_again, settle

ROUNDS = int(os.environ.get("STRONGROOM_KILLS", 1000))
SEED = int(os.environ.get("STRONGROOM_SEED", time.time_ns() % 1000000))
WHOLE = 30  # of these rounds kill keeper or supervisor, after which somebody has to unlock
READ = 100  # rounds, after which what is new in the trail is read
CLIENTS = 4


class Glances:
    """Somebody who asks for checkpoints all the time, and remembers them."""

    def __init__(self, logs):
        self._logs, self._stop = logs, threading.Event()
        self.lock = threading.Lock()
        self.wrong = []
        self._thread = threading.Thread(target=self._work)

    def _work(self):
        while not self._stop.wait(0.05):
            for log in self._logs:
                try:
                    with self.lock:
                        log.glance()
                except (OSError, http.client.HTTPException):
                    pass
                except AssertionError as e:
                    self.wrong.append(str(e))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def child(supervisor, role):
    """The process id of a child, without a look at every process of the machine; None if there is none now."""
    with contextlib.suppress(OSError):
        for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().startswith(f"strongroom-{role}"[:15]):
                    return int(pid)
    return None


def kill_server(vault, before):
    """Kills the server that runs now, which is not the one that was killed before; returns its process id."""
    def successor():
        pid = child(vault.daemon.pid, "server")
        return pid if pid != before else None

    pid = await_that("there is a server", successor)
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_thousand_kills_under_load_lose_no_answered_lease_and_fork_no_log(new_vault):
    luck = random.Random(SEED)
    print(f"STRONGROOM_SEED={SEED} STRONGROOM_KILLS={ROUNDS}")
    # A server that begins reads the leases that may live: not all of a test that takes minutes.
    vault = new_vault(opened=False, lease_ttl_s=3, lease_max_ttl_s=3, lease_max_lifetime_s=3)
    vault.daemon_environment = {"LD_PRELOAD": str(power.SHIM)}  # for its impatience only
    vault.start()
    vault.plug_in()
    vault.init()
    customers = [vault.customer() for _ in range(2)]
    logs = [Log(vault, name) for name in ["vault", *(customer.name for customer in customers)]]
    whole = set(luck.sample(range(ROUNDS), min(WHOLE, ROUNDS // 10)))
    killed, pid, in_start = 0, None, 0
    with Load(vault, customers, CLIENTS) as load, Glances(logs) as glances:
        for number in range(ROUNDS):
            if number in whole:
                load.await_answers(1)
                time.sleep(luck.uniform(0, 0.03))
                vault.kill(luck.choice(("keeper", "supervisor")))
                open_again(vault)
            elif luck.random() < 0.15:  # while it begins, most likely
                time.sleep(luck.uniform(0, 0.03))
                pid = kill_server(vault, pid)
                in_start += 1
            else:
                load.await_answers(1)
                time.sleep(luck.uniform(0, 0.02))
                pid = kill_server(vault, pid)
            killed += 1
            if number % READ == READ - 1:
                load.await_answers(1)
                with glances.lock:
                    for log in logs:
                        log.read_on()
        load.await_answers(CLIENTS)
    vault.drop_connections()
    settle(vault, load, logs)
    assert killed == ROUNDS and not glances.wrong, glances.wrong
    assert logs[0].types.count("server.started") >= ROUNDS // 2
    print(f"{killed} kills, {load.answered} leases answered, {sum(len(log.leases) for log in logs)} recorded, "
          f"{sum(log.types.count('recovery.unanswered') for log in logs)} batches recovered, {in_start} blind kills")
