"""It never loses: the power fails under load, and whatever was not synced is gone, all of it or some sectors of it."""

import os
import random
import time

import power
import pytest
from harness import PIN
from operators import settled
from trail import Load, Log, open_again, settle

CUTS = int(os.environ.get("STRONGROOM_CUTS", 12))
SEED = int(os.environ.get("STRONGROOM_SEED", time.time_ns() % 1000000))
UNITS = (None, power.SECTOR, power.PAGE)


@pytest.fixture
def fragile(new_vault):
    """An open vault on a disk that keeps only what was synced."""
    vault = new_vault(opened=False, lease_ttl_s=3, lease_max_ttl_s=3, lease_max_lifetime_s=3)
    vault.daemon_environment = power.environment()
    vault.start()
    vault.plug_in()
    vault.init()
    return vault


def test_power_cuts_under_load_lose_no_answered_lease_and_fork_no_log(fragile):
    luck = random.Random(SEED)
    print(f"STRONGROOM_SEED={SEED} STRONGROOM_CUTS={CUTS}")
    vault, lost = fragile, []
    customers = [vault.customer() for _ in range(2)]
    logs = [Log(vault, name) for name in ["vault", *(customer.name for customer in customers)]]
    with Load(vault, customers, 4) as load:
        for number in range(CUTS):
            load.await_answers(5)
            logs[number % len(logs)].glance()
            if number % 4 == 1:  # keys die: both files change at once
                key = f"short-lived-{number}"
                vault.put_key(customers[0].name, key)
                vault.api("POST", f"/v1/tenants/{customers[0].name}/keys/{key}/revoke", {})
            time.sleep(luck.uniform(0, 0.03))
            lost.append(power.cut(vault, luck, UNITS[number % len(UNITS)]))
            vault.drop_connections()
            open_again(vault)
            for log in logs:
                log.read_on()
        load.await_answers(5)
    settle(vault, load, logs)
    print(f"{load.answered} leases answered, bytes lost in the cuts: {lost}")
    assert any(lost), "nothing was ever lost: the cuts cut nothing"


def test_a_disk_that_lies_about_syncing_is_noticed_so_the_test_above_can_fail(fragile):
    """With the syncs of what the database appends to ignored, answered leases go, and either the vault or the check says so."""
    vault = fragile
    customer = vault.customer()
    vault.lock()
    vault.daemon_environment = power.environment(deaf="strongroom.db-wal strongroom.db-tail")
    vault.restart()
    vault.unlock()
    given = [customer.leased()["lease"][:32] for _ in range(3)]
    log = Log(vault, customer.name)
    log.glance()
    assert power.cut(vault, random.Random(1))
    vault.drop_connections()
    vault.come_back()
    done = vault.unlock(expect=None)
    if done.code:
        assert "older" in done.err, done
        return
    with pytest.raises(AssertionError, match="are not in the trail|were signed"):
        log.read_on()
        log.holds(given)


def test_a_power_cut_while_a_rotation_is_under_way_leaves_a_vault_that_opens(fragile):
    luck = random.Random(SEED)
    vault = fragile
    customers = [vault.customer() for _ in range(2)]
    logs = [Log(vault, name) for name in ["vault", *(customer.name for customer in customers)]]
    with Load(vault, customers, 2) as load:
        for number, what in enumerate([(), ("database",), (), ("database",)]):
            load.await_answers(3)
            vault.cli("--device", vault.authenticator.path, "rekey", *what, "--no-wait", answers=[("pin", PIN)])
            time.sleep(luck.uniform(0, 0.2))
            power.cut(vault, luck, UNITS[number % len(UNITS)])
            vault.drop_connections()
            open_again(vault)
            settled(vault)
        load.await_answers(3)
    settle(vault, load, logs)
