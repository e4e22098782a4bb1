"""A database, a keyring or both that were put back to an older state: noticed, and accepted by operators or mended."""

import json
import shutil

import pytest
from harness import LOCKED, OK, PIN, UNVERIFIED, verify_bundle
from operators import Meanwhile, pending, team
from trail import Log, unlock


class Copies:
    """What is in the data directory at some moments, to be put back later."""

    def __init__(self, vault):
        self.vault, self.count = vault, 0

    def take(self):
        """Of a vault that is stopped. Owners and modes stay."""
        self.count += 1
        copy = self.vault.base / f"copy-{self.count}"
        shutil.copytree(self.vault.data, copy)
        return copy

    def put_back(self, copy, *parts):
        """parts: of data_dir, such as "store"."""
        self.vault.stop()
        for part in parts:
            for file in (self.vault.data / part).iterdir():
                if not (copy / part / file.name).exists():
                    file.unlink()
            for file in (copy / part).iterdir():
                target = self.vault.data / part / file.name
                owner = (self.vault.data / part).stat()
                target.write_bytes(file.read_bytes())
                target.chmod(0o600)
                shutil.chown(target, owner.st_uid, owner.st_gid)
        self.vault.start()


def accept(vault, **options):
    return vault.cli("--device", vault.authenticator.path, "rollback", "accept", "--yes", answers=[("pin", PIN)],
                     **options)


def is_rolled_back(vault, why):
    """Unlocking says so, again and again, and nothing else works."""
    for _ in range(2):
        done = vault.unlock(expect=LOCKED)
        assert why in done.err and "rollback accept" in done.err, done
    status = vault.api("GET", "/v1/status")
    assert status["state"] == "rolled-back" and status["reason"] == why
    assert why in vault.cli("status").out
    assert "rollback accept" in vault.cli("doctor", expect=None).text
    return status["found"]


@pytest.fixture
def old(own):
    """(vault, customer, copies, copy of a moment after which more happened); the vault is open."""
    customer = own.customer()
    customer.leased()
    own.lock()
    own.stop()
    copies = Copies(own)
    copy = copies.take()
    own.start()
    own.unlock()
    return own, customer, copies, copy


def both_verifiers_check_the_step_ups(vault, *names):
    whole = {name: vault.export(name) for name in ("vault", *names)}
    for name in names:
        vault.cli("audit", "verify", "--bundle", whole[name], "--step-ups", "--vault-bundle", whole["vault"])
        code, said = verify_bundle(whole[name], "--step-ups", "--vault-bundle", str(whole["vault"]))
        assert code == 0, said
    vault.cli("audit", "verify", "--bundle", whole["vault"], "--step-ups")
    code, said = verify_bundle(whole["vault"], "--step-ups")
    assert code == 0, said


def test_an_older_database_serves_nothing_until_operators_accept_it(old):
    vault, customer, copies, copy = old
    later = vault.put_key(customer.name, "later")
    customer.leased()
    lost = vault.customer()
    before = len(vault.records("vault"))
    vault.cli("audit", "verify", "vault")
    vault.lock()
    vault.stop()
    newer = copies.take()
    copies.put_back(copy, "store")
    found = is_rolled_back(vault, "the database is older than the keyring")
    assert found["records"] < found["anchored"] and found["size"] < before
    assert customer.lease().status in (403, 503)
    assert vault.call("POST", "/v1/operations", {"operation": "rekey.root"}).status == 503
    assert vault.call("GET", "/v1/logs/vault").status in (409, 503)
    assert vault.call("GET", "/v1/logs/vault/records").status == 200, "the log can be read"

    copies.put_back(newer, "store")  # instead of accepting
    unlock(vault)
    gateway = vault.add_gateway(f"{customer.name}/later")
    lease = {"key": f"{customer.name}/later"}
    assert vault.curl("/v1/leases", who=gateway, body=lease).json["value"] == later
    vault.lock()

    copies.put_back(copy, "store")
    found = is_rolled_back(vault, "the database is older than the keyring")
    done = accept(vault)
    assert "is accepted" in done.text
    assert vault.state == "unlocked" and customer.leased()["value"] == customer.value
    record = vault.await_record("vault", type="rollback.accepted")
    assert (record["size"], record["root"]) == (found["size"], found["root"])
    assert (record["records"], record["anchored"]) == (found["records"], found["anchored"])
    assert record["known_size"] >= before and record["outcome"] == "ok"
    told = vault.await_record(customer.name, type="rollback.accepted")
    assert told["accepted_by"] == record["operation"] and told["anchored"] == record["anchored"]
    destroyed = [json.loads(line) for line, r in vault.records("vault") + vault.records(customer.name)
                 if r["type"] in ("key.destroyed", "engagement.ended")]
    assert len(destroyed) >= 2, "what only the keyring had is given up, the lost tenant's too"
    assert vault.call("GET", f"/v1/tenants/{lost.name}").status == 404
    vault.cli("audit", "verify", "vault")
    both_verifiers_check_the_step_ups(vault, customer.name)
    vault.lock()
    unlock(vault)
    assert vault.state == "unlocked" and customer.leased()["value"] == customer.value

    vault.lock()
    copies.put_back(newer, "store")  # what was given up cannot come back
    is_rolled_back(vault, "the database is older than the keyring")


def test_a_database_from_before_the_last_few_records_is_noticed_once_a_checkpoint_was_signed(old):
    """Fewer records than the keyring is told of by itself, and no orderly lock."""
    vault, customer, copies, _ = old
    vault.kill("supervisor")
    copy = copies.take()
    vault.start()
    unlock(vault)
    customer.leased()
    Log(vault, customer.name).glance()
    vault.kill("supervisor")
    vault.start()
    copies.put_back(copy, "store")
    is_rolled_back(vault, "the database is older than the keyring")
    accept(vault)
    assert customer.leased()["value"] == customer.value


def test_an_older_keyring_serves_nothing_until_operators_accept_it(old):
    vault, customer, copies, copy = old
    vault.put_key(customer.name, "later")
    vault.lock()
    vault.stop()
    newer = copies.take()
    copies.put_back(copy, "keyring")
    is_rolled_back(vault, "the keyring is older than the database")
    copies.put_back(newer, "keyring")
    unlock(vault)
    assert customer.leased()["value"] == customer.value
    vault.lock()
    copies.put_back(copy, "keyring")
    is_rolled_back(vault, "the keyring is older than the database")
    accept(vault)
    assert customer.leased()["value"] == customer.value
    key = vault.api("GET", f"/v1/tenants/{customer.name}/keys/later")
    assert key["state"] == "revoked", "its data key is not in this keyring"
    vault.lock()
    unlock(vault)
    assert vault.state == "unlocked"
    both_verifiers_check_the_step_ups(vault, customer.name)


def test_both_put_back_is_seen_by_who_remembers_and_accepting_says_what_was_remembered(old):
    vault, customer, copies, copy = old
    customer.leased()
    for log in ("vault", customer.name):
        vault.cli("audit", "verify", log)
    remembered = len(vault.records("vault"))
    vault.lock()
    copies.put_back(copy, "store", "keyring")
    done = vault.unlock(expect=UNVERIFIED)
    assert "rollback accept" in done.err and vault.state == "locked", "the vault cannot know, this profile does"
    vault.cli("--socket", vault.socket, "--device", vault.authenticator.path, "unlock", answers=[("pin", PIN)])
    assert vault.state == "unlocked"
    done = vault.cli("audit", "verify", customer.name, expect=None)
    assert done.code == UNVERIFIED, done
    another = shutil.copytree(vault.profile, vault.files / "another")
    accept(vault)
    record = vault.await_record("vault", type="rollback.accepted")
    assert record["known_size"] >= remembered and record["known_root"] != record["root"]
    assert record["anchored"] <= record["records"]
    vault.await_record(customer.name, type="rollback.accepted")
    for log in ("vault", customer.name):
        vault.cli("audit", "verify", log)
    both_verifiers_check_the_step_ups(vault, customer.name)
    done = vault.cli("audit", "verify", "vault", profile=another, expect=UNVERIFIED)
    assert "profile forget" in done.err, "who did not accept it has to say so, too"
    vault.cli("profile", "forget", "--yes", profile=another)
    vault.cli("audit", "verify", "vault", profile=another)


@pytest.mark.parametrize("victim", ["server", "keeper", "supervisor"])
def test_a_kill_before_or_after_the_acceptance_leaves_a_vault_that_says_where_it_is(old, victim):
    vault, customer, copies, copy = old
    vault.put_key(customer.name, "later")
    vault.lock()
    copies.put_back(copy, "store")
    is_rolled_back(vault, "the database is older than the keyring")
    vault.kill(victim)
    vault.come_back()
    if victim == "server":
        vault.await_state("rolled-back")
    else:
        is_rolled_back(vault, "the database is older than the keyring")
    accept(vault)
    vault.kill(victim)
    vault.come_back()
    if victim != "server":
        unlock(vault)
    vault.await_state("unlocked")
    assert customer.leased()["value"] == customer.value
    vault.drop_connections()
    vault.cli("audit", "verify", "vault")


def test_accepting_takes_the_quorum(new_vault):
    vault, alice, bob, carol = team(new_vault)
    vault.lock()
    vault.stop()
    copies = Copies(vault)
    copy = copies.take()
    vault.start()
    for person in (alice, bob):
        person.cli("unlock")
    vault.customer()
    vault.lock()
    copies.put_back(copy, "store")
    alice.cli("unlock")
    assert "older than the keyring" in bob.cli("unlock", expect=LOCKED).err
    accepting = Meanwhile(alice.cli, "rollback", "accept", "--yes")
    carol.cli("operation", "approve", pending(vault), "--yes")
    assert accepting.result().code == OK
    assert vault.state == "unlocked"
    approvals = [r for _, r in vault.records("vault") if r["type"] == "operation.approved"]
    assert {r["operator"] for r in approvals if r["text"].startswith("rollback.accept")} == {"alice", "carol"}


def test_a_vault_that_waits_to_be_accepted_locks_itself_like_any_other(new_vault):
    vault = new_vault()
    vault.lock()
    vault.stop()
    copies = Copies(vault)
    copy = copies.take()
    vault.start()
    unlock(vault)
    vault.customer()
    vault.lock()
    vault.write_config(idle_lock_s=2)
    copies.put_back(copy, "store")
    assert "older than the keyring" in vault.unlock(expect=LOCKED).err
    vault.await_state("locked")
