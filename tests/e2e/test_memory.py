"""Who saw a vault once notices when an older copy of it is put back, database and keyring both."""

import os
import shutil

import pytest
from harness import OK, PIN, UNVERIFIED, await_that, unique
from test_auditors import issue


class Copy:
    """Everything the vault has on disk, at one time: as a whole machine's backup has it."""

    def __init__(self, vault):
        vault.stop()
        self.vault, self.kept = vault, vault.base / unique("copy")
        shutil.copytree(vault.data, self.kept, symlinks=True)
        vault.start()

    def put_back(self):
        self.vault.stop()
        owners = {path.relative_to(self.vault.data): path.stat() for path in self.vault.data.rglob("*")}
        whole = self.vault.data.stat()
        shutil.rmtree(self.vault.data)
        shutil.copytree(self.kept, self.vault.data, symlinks=True)
        for path in [self.vault.data, *self.vault.data.rglob("*")]:
            about = owners.get(path.relative_to(self.vault.data), whole)
            os.chown(path, about.st_uid, about.st_gid)
        self.vault.start()


def gateway_profile(vault, customer):
    """The profile of the customer's gateway."""
    who = customer.gateway
    profile = vault.base / unique("gateway-profile")
    vault.cli("profile", "create", "--certificate", who.certificate, "--key", who.key, "--ca", vault.ca,
              "--url", vault.url, profile=profile)
    return profile


def unlock(vault, expect=OK, profile=None):
    return vault.cli("--device", vault.authenticator.path, "unlock", answers=[("pin", PIN)], expect=expect,
                     profile=profile)


def proofs(profile):
    return sorted(profile.glob("fork-*.txt"))


@pytest.fixture
def restored(own):
    """(vault, customer, profiles of an auditor and of the gateway): all saw more than the vault now has.

    Its authenticator is that of the time of the copy too, since slots roll with each unlock.
    """
    customer = own.customer()
    auditor, gateway = issue(own, unique("ulf")), gateway_profile(own, customer)
    own.lock()
    copy = Copy(own)
    unlock(own)
    for _ in range(5):
        customer.leased()
    own.cli("audit", "verify", customer.name, profile=auditor)
    own.cli("audit", "verify", "vault")
    own.cli("lease", "get", customer.path, profile=gateway)
    unlock_again(own)
    own.cli("lease", "get", customer.path, profile=gateway)
    copy.put_back()
    return own, customer, auditor, gateway


def unlock_again(vault):
    vault.lock()
    unlock(vault)


def test_unlock_finds_the_vault_set_back_and_locks_it_again(restored):
    vault, _, _, _ = restored
    done = unlock(vault, expect=UNVERIFIED)
    assert "NOT AS IT WAS" in done.text and "locked again" in done.text
    assert vault.state == "locked"
    assert len(proofs(vault.profile)) == 1
    unlock(vault, expect=UNVERIFIED)  # nor does it get used to it


def test_audit_verify_and_a_gateways_lease_find_it_too(restored):
    vault, customer, auditor, gateway = restored
    own_memory = vault.profile / "profile.json"
    kept = own_memory.read_text()
    forget(vault.profile)
    unlock(vault)  # by somebody who saw nothing
    done = vault.cli("audit", "verify", customer.name, profile=auditor, expect=UNVERIFIED)
    assert "NOT AS IT WAS" in done.text
    assert len(proofs(auditor)) == 1
    before = len(vault.records(customer.name))
    done = vault.cli("lease", "get", customer.path, profile=gateway, expect=UNVERIFIED)
    assert customer.value not in done.text
    assert len(vault.records(customer.name)) == before, "no lease was issued"
    assert own_memory.read_text() != kept


def forget(profile):
    import json
    path = profile / "profile.json"
    about = json.loads(path.read_text())
    about.pop("checkpoints", None)
    path.write_text(json.dumps(about))


def test_a_vault_that_was_set_back_and_grew_on_leaves_a_proof_for_everybody(restored):
    vault, customer, auditor, _ = restored
    forget(vault.profile)
    unlock(vault)
    for _ in range(20):
        customer.leased()
    vault.cli("audit", "verify", customer.name, "--from", "0", "--to", "1", profile=auditor, expect=UNVERIFIED)
    proof, = proofs(auditor)
    nobody = vault.base / "nobody"
    done = vault.cli("audit", "verify", "--fork-proof", proof, profile=nobody)
    assert "Proven" in done.text
    text = proof.read_text()
    proof.write_text(text.replace("== given", "== giv3n"))
    assert vault.cli("audit", "verify", "--fork-proof", proof, profile=nobody, expect=None).code != OK


def test_a_vault_that_goes_on_is_never_refused(own):
    customer = own.customer()
    gateway = gateway_profile(own, customer)
    for _ in range(3):
        own.cli("lease", "get", customer.path, profile=gateway)
        unlock_again(own)
        own.cli("audit", "verify", customer.name)
        own.kill("server")
        own.come_back()
        await_that("the vault is open", lambda: own.reachable() and own.state == "unlocked")
    assert proofs(own.profile) == [] and proofs(gateway) == []
