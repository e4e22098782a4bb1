"""Step 7: an engagement ends; seven days later its keys are destroyed, locked or not, in backups too.

Time travel is faketime's: the daemon's wall clock, the CLI's and curl's are moved, nothing in them knows.
"""

import datetime
import os
import shutil

import pytest
from harness import LOCKED, PIN, SLOW, await_that, verify_bundle
from keyring import DATA_KEY, SEED, keyring_of

pytestmark = pytest.mark.skipif(SLOW > 1, reason="faketime and sanitizers both want to be loaded first")

WEEK = "+7d"
ALMOST = "+604500s"  # 7 days are 604,800 s


def end(vault, customer):
    vault.cli("engagement", "end", f"{customer.name}/{customer.engagement}", "--yes")


def engagement(vault, customer):
    return vault.api("GET", f"/v1/tenants/{customer.name}/engagements")["engagements"][0]


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def store_files(vault):
    return vault.data / "store"


def copy_store(vault, target):
    """A backup of the database, as a file-level backup takes it from a stopped daemon."""
    shutil.copytree(store_files(vault), target)


def put_back(vault, backup):
    """The backup in the place of today's database; the keyring stays today's."""
    owner = store_files(vault).stat()
    shutil.rmtree(store_files(vault))
    shutil.copytree(backup, store_files(vault))
    store_files(vault).chmod(owner.st_mode & 0o777)
    for path in [store_files(vault), *store_files(vault).rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid)


def test_the_end_of_an_engagement_stops_leasing_and_schedules_the_purge(vault, customer):
    lease = customer.leased()
    end(vault, customer)
    assert customer.lease().status in (403, 409)
    assert vault.call("POST", f"/v1/leases/{lease['lease']}/renew", {}, customer.gateway).status in (403, 404, 409)
    ended = engagement(vault, customer)
    assert ended["state"] == "ended"
    assert when(ended["due"]) - when(ended["ended"]) == datetime.timedelta(days=7)
    assert vault.api("GET", "/v1/status")["next_purge"] is not None
    again = vault.call("POST", f"/v1/tenants/{customer.name}/engagements/{customer.engagement}/end", {})
    assert (again.status, again.json["title"]) == (409, "conflict")


def test_ending_asks_first(vault, customer):
    from terminal import SHOWN
    done = vault.cli("engagement", "end", f"{customer.name}/{customer.engagement}", stdin=None,
                     answers=[("yes", "no", SHOWN)], expect=None)
    assert done.code != 0
    assert customer.lease().status == 201


def test_nothing_new_joins_an_ended_engagement(vault, customer):
    end(vault, customer)
    sealed = vault.seal("sk-test-123")
    for path in ("keys/new", f"keys/{customer.key}/rotate"):
        body = {"sealed_key": sealed} if path.endswith("rotate") else {
            "sealed_key": sealed, "provider": "openai", "engagement": customer.engagement}
        reply = vault.call("POST", f"/v1/tenants/{customer.name}/{path}", body)
        assert reply.status in (403, 404, 409), f"{path}: {reply}"


def test_seven_days_on_the_keys_are_destroyed_although_the_vault_is_locked(own):
    gone, stays = own.customer(), own.customer()
    own.put_key(gone.name, "second")
    own.rotate_key(gone.name, grace_s=86400)
    before = keyring_of(own)
    tenant = bytes.fromhex(own.api("GET", f"/v1/tenants/{gone.name}")["id"])
    doomed = [cell for cell in before.of(DATA_KEY) if cell.parent == tenant]
    doomed += [cell for cell in before.of(SEED) if cell.id == tenant]
    assert len(doomed) == 4 and all(cell.sealed in before.data for cell in doomed)
    end(own, gone)
    own.stop()
    backup = own.base / "backup"
    copy_store(own, backup)

    # A moment before: nothing happens.
    own.start(ALMOST)
    status = own.local("GET", "/v1/status").json
    assert (status["state"], status["journal"]) == ("locked", 0) and status["next_purge"]
    own.stop()

    # Seven days on, and nobody unlocks.
    own.start(WEEK)
    assert own.state == "locked"
    await_that("the keeper purged", lambda: own.local("GET", "/v1/status").json["next_purge"] is None)
    status = own.local("GET", "/v1/status").json
    assert status["state"] == "locked" and status["journal"] > 0

    # After the next unlock the record is there and the rows are gone.
    own.unlock()
    own.await_record(gone.name, type="purge.done")
    records = [record for _, record in own.records(gone.name)]
    destroyed = {(r["key_id"], r["version"]) for r in records if r["type"] == "key.destroyed"}
    assert len(destroyed) == 3, "two versions of one key, one of the other"
    assert all(r["reason"] == "purged" for r in records if r["type"] == "key.destroyed")
    types = [record["type"] for record in records]
    assert types.index("purge.keys_destroyed") < types.index("purge.done")
    assert "tenant.seed_destroyed" in types, "it was the tenant's last engagement"
    purge = next(r for r in records if r["type"] == "purge.keys_destroyed")
    due = next(r["due"] for r in records if r["type"] == "engagement.ended")
    assert purge["happened"] >= due
    assert engagement(own, gone)["state"] == "purged" and engagement(own, gone)["purged"]
    assert {key["state"] for key in own.api("GET", f"/v1/tenants/{gone.name}/keys")["keys"]} == {"purged"}
    assert gone.lease().status in (403, 404, 409)
    assert "tombstone.alarm" not in own.types("vault") + types

    # The trail stays, and verifies.
    for log in (gone.name, stays.name, "vault"):
        own.cli("audit", "verify", log)
        code, said = verify_bundle(own.export(log))
        assert code == 0, said

    # Other tenants are untouched.
    assert stays.leased()["value"] == stays.value

    # What opened the keys is overwritten: neither the data keys nor the tenant's seed is left.
    after = keyring_of(own)
    assert all(cell.sealed not in after.data for cell in doomed)
    assert len(after.of(DATA_KEY)) == 1 and len(after.of(SEED)) == 1

    # Yesterday's database beside today's keyring does not open the key.
    own.stop()
    today = own.base / "today"
    copy_store(own, today)
    put_back(own, backup)
    own.start(WEEK)
    own.unlock(expect=None)
    for path in (gone.path, f"{gone.name}/second"):
        reply = own.curl("/v1/leases", who=gone.gateway, body={"key": path})
        assert reply.status != 201, reply
        assert gone.value.encode() not in reply.body

    # Trying it has harmed nothing.
    own.stop()
    put_back(own, today)
    own.start(WEEK)
    own.unlock()
    assert stays.leased()["value"] == stays.value
    for log in (gone.name, stays.name, "vault"):
        own.cli("audit", "verify", log)


def test_an_unlocked_vault_purges_on_time_too(own):
    """The clock reaches the hour while the vault is open, some seconds after the unlock."""
    gone, stays = own.customer(), own.customer()
    end(own, gone)
    own.stop()
    left = when(engagement_due(own)) - datetime.datetime.now(datetime.timezone.utc)
    own.start(f"+{int(left.total_seconds()) - 10}s")
    own.unlock()
    assert engagement(own, gone)["state"] == "ended"
    own.await_record(gone.name, type="purge.done")
    assert engagement(own, gone)["state"] == "purged"
    assert stays.leased()["value"] == stays.value
    own.cli("audit", "verify", gone.name)


def engagement_due(vault):
    vault.start()
    due = vault.local("GET", "/v1/status").json["next_purge"]
    vault.stop()
    return due


def test_a_purge_ends_only_its_own_engagement(own):
    customer = own.customer()
    own.api("POST", f"/v1/tenants/{customer.name}/engagements", {"name": "support"})
    kept = own.put_key(customer.name, "kept", engagement="support")
    gateway = own.add_gateway(f"{customer.name}/*")
    end(own, customer)
    own.restart(WEEK)
    await_that("the keeper purged", lambda: own.local("GET", "/v1/status").json["next_purge"] is None)
    own.unlock()
    own.await_record(customer.name, type="purge.done")
    assert "tenant.seed_destroyed" not in own.types(customer.name)
    lease = own.curl("/v1/leases", who=gateway, body={"key": f"{customer.name}/kept"})
    assert (lease.status, lease.json["value"]) == (201, kept)
    assert own.curl("/v1/leases", who=gateway, body={"key": customer.path}).status in (403, 404, 409)


def test_a_clock_set_back_postpones_nothing(own):
    customer = own.customer()
    end(own, customer)
    own.restart(WEEK)
    await_that("the keeper purged", lambda: own.local("GET", "/v1/status").json["next_purge"] is None)
    own.restart()  # today again
    status = own.local("GET", "/v1/status").json
    assert when(status["time"]) - datetime.datetime.now(datetime.timezone.utc) > datetime.timedelta(days=6)
    own.unlock()
    own.await_record(customer.name, type="purge.done")
    times = [record["time"] for _, record in own.records(customer.name)]
    assert times == sorted(times)


def test_after_a_purge_the_tenant_can_begin_anew_and_the_old_keys_do_not_come_back(own):
    customer = own.customer()
    end(own, customer)
    own.restart(WEEK)
    own.unlock()
    own.await_record(customer.name, type="purge.done")
    key = own.api("GET", f"/v1/tenants/{customer.name}/keys/{customer.key}")
    assert key["state"] == "purged"
    assert not [v for v in key["versions"] if v["state"] != "destroyed"]
    done = own.cli("engagement", "list", customer.name)
    assert "purged" in done.out
    own.api("POST", f"/v1/tenants/{customer.name}/engagements", {"name": "again"})
    value = own.put_key(customer.name, "fresh", engagement="again")
    gateway = own.add_gateway(f"{customer.name}/*")
    assert own.curl("/v1/leases", who=gateway, body={"key": f"{customer.name}/fresh"}).json["value"] == value
    assert own.curl("/v1/leases", who=gateway, body={"key": customer.path}).status in (403, 404, 409)



def test_a_large_engagement_is_purged_while_locked_too(own):
    customer = own.customer()
    for number in range(300):
        own.put_key(customer.name, f"key-{number}")
    end(own, customer)
    own.stop()
    own.start(WEEK)
    await_that("the keeper destroys the keys", lambda: not keyring_of(own).of(DATA_KEY))
    own.unlock()
    done = own.await_record(customer.name, type="purge.keys_destroyed")
    assert done["number"] == 301
    assert own.types(customer.name).count("key.destroyed") == 301
    own.cli("audit", "verify", customer.name)


def test_a_database_older_than_the_keyring_is_refused_and_nothing_is_destroyed(own):
    customer = own.customer()
    own.stop()
    backup = own.base / "backup"
    copy_store(own, backup)
    own.start()
    own.unlock()
    own.api("POST", f"/v1/tenants/{customer.name}/engagements", {"name": "second"})
    own.put_key(customer.name, "new-one", engagement="second")
    alive = len(keyring_of(own).of(DATA_KEY))
    os.kill(own.daemon.pid, 9)
    own.daemon.wait()
    today = own.base / "today"
    copy_store(own, today)
    put_back(own, backup)
    own.start()
    refused = own.cli("--device", own.authenticator.path, "unlock", answers=[("pin", PIN)], expect=LOCKED)
    assert "older than the keyring" in refused.err
    assert own.state == "rolled-back"
    assert len(keyring_of(own).of(DATA_KEY)) == alive
    own.stop()
    put_back(own, today)
    own.start()
    own.unlock()
    assert customer.leased()["value"] == customer.value


def test_leases_cannot_be_forgotten_by_putting_an_older_database_back(own):
    customer = own.customer()
    own.stop()
    backup = own.base / "backup"
    copy_store(own, backup)
    own.start()
    own.unlock()
    customer.leased()
    own.stop()
    put_back(own, backup)
    own.start()
    refused = own.cli("--device", own.authenticator.path, "unlock", answers=[("pin", PIN)], expect=LOCKED)
    assert "older than the keyring" in refused.err
