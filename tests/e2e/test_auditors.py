"""Auditors who are assigned some tenants: what they see over the wire and with the CLI, and what never."""

import re

import pytest
from harness import DENIED, NOT_FOUND, ROOT, CONFLICT, unique, make_request

ROUTE = re.compile(r"\| `(GET|POST|DELETE) (/v1/[^`]*)` \| ([LOATGU ]+) \|", re.MULTILINE)


def routes():
    """(method, path, roles) as docs/API.md has them."""
    return ROUTE.findall((ROOT / "docs/API.md").read_text())


def issue(vault, name, *tenants, expect=0):
    """An auditor's profile, made with the CLI alone."""
    key, csr = make_request(vault.files, unique(name))
    certificate = key.with_suffix(".pem")
    options = [word for tenant in tenants for word in ("--tenant", tenant)]
    vault.cli("certificate", "issue", "--role", "auditor", "--name", name, "--csr", csr, "--out", certificate,
              *options, expect=expect)
    if expect:
        return None
    profile = vault.base / unique(f"profile-{name}")
    vault.cli("profile", "create", "--certificate", certificate, "--key", key, "--ca", vault.ca, "--url", vault.url,
              profile=profile)
    return profile


def identity(profile):
    from web import Identity
    return Identity(profile.name, profile / "client.key", profile / "client.crt")


@pytest.fixture(scope="module")
def scene(vault):
    """(own customer, another one, the auditor's name and profile)"""
    own, other, name = vault.customer(), vault.customer(), unique("una")
    own.leased()
    return own, other, name, issue(vault, name, own.name)


def test_a_limited_auditor_uses_the_cli_for_its_tenant_alone(vault, scene):
    own, other, _, profile = scene

    def run(*words, expect=0):
        return vault.cli(*words, profile=profile, expect=expect).text

    assert own.name in run("tenant", "list") and other.name not in run("tenant", "list")
    assert "openai-prod" in run("key", "list", own.name)
    assert "lease.issued" in run("audit", "show", own.name)
    assert "verified" in run("audit", "verify", own.name)
    run("audit", "export", own.name, "--out", vault.files / unique("bundle"))
    for log in (other.name, "vault", "nowhere"):
        run("audit", "show", log, expect=NOT_FOUND)
        run("audit", "verify", log, expect=NOT_FOUND)
    run("key", "list", other.name, expect=NOT_FOUND)
    run("gateway", "list", expect=DENIED)
    run("operation", "list", expect=DENIED)


def test_no_route_tells_a_limited_auditor_of_another_tenant(vault, scene):
    own, other, name, profile = scene
    who = identity(profile)
    paths = routes()
    assert len(paths) > 40
    for method, pattern, roles in paths:
        def ask(tenant):
            path = pattern.replace("{tenant}", tenant).replace("{log}", tenant).replace("{key}", own.key)
            path = re.sub(r"\{[a-z]+\}", "0" * 32, path)
            return vault.call(method, path, {} if method == "POST" else None, who)

        mine, theirs, absent = ask(own.name), ask(other.name), ask("nowhere")
        assert other.name not in mine.text + theirs.text, (method, pattern)
        if "U" not in roles.split():
            assert mine.status == theirs.status == 403, (method, pattern)
        elif "{tenant}" in pattern or "{log}" in pattern:
            if pattern.rpartition("/")[2] not in ("inclusion", "commitment", "cosignatures"):  # they take more
                assert mine.status < 400, (method, pattern, mine.text)
            assert theirs.status >= 400, (method, pattern)
            assert (theirs.status, theirs.json["detail"]) == (absent.status, absent.json["detail"]), (method, pattern)
    assert who is not None and name


def test_assigning_and_taking_back_are_records_that_the_tenant_sees(vault, scene):
    own, other, name, profile = scene
    vault.cli("auditor", "assign", name, other.name)
    vault.cli("auditor", "assign", name, other.name, expect=CONFLICT)
    assert f"{name}" in vault.cli("auditor", "list").text
    vault.cli("audit", "verify", other.name, profile=profile)
    vault.cli("auditor", "unassign", name, other.name)
    vault.cli("audit", "verify", other.name, profile=profile, expect=NOT_FOUND)
    found = [record for _, record in vault.records(other.name) if record["type"].startswith("auditor.")]
    assert [record["type"] for record in found] == ["auditor.assigned", "auditor.unassigned"]
    assert all(vault.named(other.name, record)["auditor"] == name for record in found)


def test_an_auditor_without_tenants_is_of_the_whole_vault_and_the_operator_is_told(vault, scene):
    own, _, name, _ = scene
    whole = issue(vault, unique("ulf"))
    vault.cli("audit", "verify", "vault", profile=whole)
    vault.cli("gateway", "list", profile=whole)
    issue(vault, name, expect=CONFLICT)  # a renewal that would see more
    issue(vault, name, own.name)
