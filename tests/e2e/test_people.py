"""Names of people stand in the trail as tags, and can be forgotten without touching the trail."""

import re

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from harness import CONFLICT, NOT_FOUND, recovery_code, unique, verify_bundle
from keyring import card_code, keyring_of

PAGE, RESERVED, IV = 4096, 80, 16
WAL_HEADER, FRAME_HEADER = 32, 24


def open_page(key, page, first):
    """One page in clear. SQLCipher's form: AES-256-CBC, at the end of each page its IV and a MAC."""
    iv = page[-RESERVED:-RESERVED + IV]
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return decryptor.update(page[16 if first else 0:-RESERVED]) + decryptor.finalize()


def database_in_clear(vault):
    """Every page of the database and of its WAL, free ones and what lies between rows included."""
    key = keyring_of(vault).open(card_code(recovery_code(vault.cards[0])))["database key"]
    path = next(vault.data.rglob("strongroom.db"))
    data, wal = path.read_bytes(), path.with_name(path.name + "-wal")
    pages = [open_page(key, data[at:at + PAGE], at == 0) for at in range(0, len(data), PAGE)]
    frames = wal.read_bytes()[WAL_HEADER:] if wal.exists() else b""
    for at in range(0, len(frames), FRAME_HEADER + PAGE):
        page = frames[at + FRAME_HEADER:at + FRAME_HEADER + PAGE]
        if len(page) == PAGE:
            pages.append(open_page(key, page, frames[at:at + 4] == b"\0\0\0\1"))
    return b"".join(pages)


@pytest.fixture
def work(vault):
    """A customer, and an admin with a name of their own who worked for it."""
    customer = vault.customer()
    admin = unique("walburga")
    who = vault.certify("admin", admin)
    vault.put_key(customer.name, "second", who=who)
    return customer, admin, who


def revoke(vault, name):
    for certificate in vault.cli_json("certificate", "list")["certificates"]:
        if certificate["name"] == name:
            vault.api("POST", "/v1/certificates/revoke", {"spki": certificate["spki"]})


def test_the_trail_shows_people_by_name_and_stores_a_tag(vault, work):
    customer, admin, _ = work
    lines = vault.cli("--json", "audit", "show", customer.name).out
    assert admin not in lines and "alice" not in lines
    assert re.search(r'"actor":"admin:~[0-9a-f]{32}"', lines)
    shown = vault.cli("audit", "show", customer.name).out
    assert f"admin:{admin}" in shown and "operator:alice" in shown


def test_a_purpose_is_shown_to_readers_and_is_not_in_the_record(vault, customer):
    customer.leased(purpose="for Walburga M.")
    assert "Walburga" not in vault.cli("--json", "audit", "show", customer.name).out
    assert "purpose=for Walburga M." in vault.cli("audit", "show", customer.name).out


def test_a_person_is_erased_only_when_they_cannot_come_in_any_more(vault, work):
    customer, admin, _ = work
    done = vault.cli("audit", "erase", customer.name, admin, "--yes", expect=CONFLICT)
    assert "revoke" in done.text
    assert admin in vault.names(customer.name).values()


def test_an_erased_name_is_nowhere_any_more_and_the_trail_still_verifies(vault, work):
    customer, admin, _ = work
    revoke(vault, admin)
    before = [line for line, _ in vault.records(customer.name)]
    assert admin.encode() in database_in_clear(vault)
    vault.cli("audit", "erase", "--all-logs", admin, "--yes")
    assert admin.encode() not in database_in_clear(vault)
    for log in (customer.name, "vault"):
        assert admin not in vault.cli("audit", "show", log, "--limit", "500").out
        bundle = vault.export(log)
        assert admin not in bundle.read_text()
        assert verify_bundle(bundle)[0] == 0
        vault.cli("audit", "verify", log)
        assert "person.erased" in vault.types(log)
    assert admin not in vault.cli("--json", "certificate", "list").out
    assert [line for line, _ in vault.records(customer.name)][:len(before)] == before
    vault.cli("audit", "erase", "--all-logs", admin, "--yes", expect=NOT_FOUND)


def test_a_customer_erases_a_name_in_its_own_log(vault, work):
    customer, admin, _ = work
    revoke(vault, admin)
    tenant = vault.certify("tenant", customer.name)
    reply = vault.call("POST", "/v1/logs/vault/people/erase", {"name": admin}, tenant)
    assert reply.status == 404
    vault.api("POST", f"/v1/logs/{customer.name}/people/erase", {"name": admin}, tenant)
    assert admin not in vault.names(customer.name).values()
    assert admin in vault.names("vault").values()
