"""What is known of providers: what is asked for, warned of and refused when a key is stored, and what lists say."""

import json
import subprocess

import pytest
from harness import NOT_FOUND, ROOT, USAGE, unique

HEX = "0123456789abcdef"
OPENAI = "sk-proj-" + HEX * 8
ADMIN = "sk-admin-" + HEX * 8
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
AWS = {"access_key_id": "AKIA0123456789ABCDEF", "secret_access_key": AWS_SECRET, "region": "eu-central-1"}
ACCOUNT = {"type": "service_account", "project_id": "acme", "private_key_id": HEX,
           "private_key": "-----BEGIN PRIVATE KEY-----\nMII+/=\n-----END PRIVATE KEY-----\n",
           "client_email": "robot@acme.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token"}


@pytest.fixture(scope="module")
def customer(vault):
    return vault.customer()


@pytest.fixture(scope="module")
def gateway(vault, customer):
    return vault.add_gateway(f"{customer.name}/*")


def put(vault, customer, provider, value, *options, expect=0, answers=()):
    """Stores a value under a new name: (name, what the CLI said)."""
    name = unique("key")
    stdin = None if value is None else value if isinstance(value, bytes) else value.encode()
    done = vault.cli("key", "put", f"{customer.name}/{name}", "--provider", provider, *options, stdin=stdin,
                     expect=expect, answers=answers)
    return name, done


def leased(vault, customer, gateway, name):
    reply = vault.call("POST", "/v1/leases", {"key": f"{customer.name}/{name}"}, gateway)
    assert reply.status == 201, reply
    return reply.json["value"]


def exists(vault, customer, name):
    return vault.call("GET", f"/v1/tenants/{customer.name}/keys/{name}").status == 200


def test_a_key_that_looks_right_is_stored_without_a_word(vault, customer):
    name, done = put(vault, customer, "openai", OPENAI)
    assert not done.err
    assert OPENAI not in done.text


def test_an_unusual_one_is_stored_and_what_was_expected_is_said(vault, customer, gateway):
    name, done = put(vault, customer, "groq", "gsk_cut_off")
    assert "Warning" in done.err and "gsk_ and 52 of A-Z a-z 0-9" in done.err
    assert leased(vault, customer, gateway, name) == "gsk_cut_off"


def test_an_admin_key_is_refused_unless_it_is_put_as_one_and_is_not_leased_then(vault, customer, gateway):
    name, done = put(vault, customer, "openai", ADMIN, expect=USAGE)
    assert "--scope admin" in done.err and "nothing was stored" in done.err and ADMIN not in done.text
    assert not exists(vault, customer, name)
    name, done = put(vault, customer, "openai", ADMIN, "--scope", "admin")
    reply = vault.call("POST", "/v1/leases", {"key": f"{customer.name}/{name}"}, gateway)
    assert (reply.status, reply.json["detail"]) == (403, "an admin key is never leased")
    name, _ = put(vault, customer, "openai", ADMIN, "--force")
    assert leased(vault, customer, gateway, name) == ADMIN


def test_a_key_of_another_provider_is_refused_unless_forced(vault, customer, gateway):
    name, done = put(vault, customer, "anthropic", OPENAI, expect=USAGE)
    assert "--provider openai" in done.err and not exists(vault, customer, name)
    name, _ = put(vault, customer, "anthropic", OPENAI, "--force")
    assert leased(vault, customer, gateway, name) == OPENAI


def test_the_next_version_is_looked_at_like_the_first(vault, customer):
    name, _ = put(vault, customer, "openai", OPENAI)
    path = f"{customer.name}/{name}"
    assert "xAI" in vault.cli("key", "rotate", path, stdin=b"xai-" + HEX.encode() * 5, expect=USAGE).err
    assert "admin key" in vault.cli("key", "rotate", path, stdin=ADMIN.encode(), expect=USAGE).err
    assert vault.cli_json("key", "show", path)["version"] == 1
    vault.cli("key", "rotate", path, "--force", stdin=ADMIN.encode())


def test_scope_and_class_are_shown(vault, customer):
    name, done = put(vault, customer, "openai", OPENAI, "--scope", "billing_read", "--class", "killable")
    shown = vault.cli("key", "show", f"{customer.name}/{name}").out
    assert "billing_read" in shown and "killable" in shown
    assert "billing_read" in vault.cli("key", "list", customer.name).out
    put(vault, customer, "openai", OPENAI, "--scope", "root", expect=USAGE)
    put(vault, customer, "openai", OPENAI, "--class", "magic", expect=USAGE)


def test_an_aws_key_is_asked_for_field_by_field(vault, customer, gateway):
    """The Bedrock key is left out, hence the others are needed; what is secret is not shown, and asked for twice."""
    name, done = put(vault, customer, "aws-bedrock", None, answers=[
        ("Bedrock API key", ""), ("access key id", AWS["access_key_id"], "shown"), ("secret access key", AWS_SECRET),
        ("once more", AWS_SECRET), ("session token", ""), ("region", "eu-central-1", "shown")])
    assert AWS_SECRET not in done.text
    assert json.loads(leased(vault, customer, gateway, name)) == AWS


def test_one_field_that_can_stand_alone_is_stored_as_it_is(vault, customer, gateway):
    key = "ABSK" + "a" * 120
    name, _ = put(vault, customer, "aws-bedrock", None, answers=[
        ("Bedrock API key", key), ("once more", key), ("region", "", "shown")])
    assert leased(vault, customer, gateway, name) == key


def test_a_typing_error_or_a_missing_field_stores_nothing(vault, customer):
    for answers in ([("Bedrock", ""), ("key id", "AKIA", "shown"), ("secret", "one"), ("once more", "two")],
                    [("Bedrock", ""), ("key id", "", "shown")]):
        name, done = put(vault, customer, "aws-bedrock", None, answers=answers, expect=USAGE)
        assert "nothing was stored" in done.err and not exists(vault, customer, name)


def test_an_object_on_standard_input_is_checked(vault, customer, gateway):
    name, done = put(vault, customer, "aws-bedrock", json.dumps(AWS, indent=2))
    assert not done.err
    assert json.loads(leased(vault, customer, gateway, name)) == AWS
    assert vault.cli_json("key", "show", f"{customer.name}/{name}")["hint"] == "{...}"
    for wrong, reason in (({"access_key_id": AWS["access_key_id"]}, "secret_access_key"),
                          ({**AWS, "regoin": "eu"}, "none of its fields"), ({**AWS, "region": 7}, "must be a string")):
        name, done = put(vault, customer, "aws-bedrock", json.dumps(wrong), expect=USAGE)
        assert reason in done.err and not exists(vault, customer, name)


def test_a_service_account_is_stored_as_its_file_says(vault, customer, gateway):
    name, _ = put(vault, customer, "google-vertex", json.dumps(ACCOUNT, indent=4) + "\n")
    assert json.loads(leased(vault, customer, gateway, name)) == ACCOUNT
    for wrong in ({**ACCOUNT, "type": "authorized_user"}, {k: v for k, v in ACCOUNT.items() if k != "private_key"}):
        put(vault, customer, "google-vertex", json.dumps(wrong), expect=USAGE)
    put(vault, customer, "google-vertex", "AIza" + "a" * 35, expect=USAGE)
    put(vault, customer, "google-vertex", None, expect=USAGE)  # from a terminal


def test_an_unknown_provider_is_told_before_anything_is_asked(vault, customer):
    _, done = put(vault, customer, "openia", None, expect=USAGE)
    assert "provider list" in done.err


def test_the_catalogue_can_be_read(vault):
    listed = vault.cli_json("provider", "list")["providers"]
    assert [p["code"] for p in listed] == list(range(1, 15))
    shown = vault.cli_json("provider", "show", "anthropic")
    assert shown in listed
    assert shown["headers"] == [{"name": "x-api-key", "template": "{key}"},
                                {"name": "anthropic-version", "template": "2023-06-01"}]
    assert "sk-ant-admin" in vault.cli("provider", "show", "anthropic").out
    vault.cli("provider", "show", "nobody", expect=NOT_FOUND)


def test_the_documented_table_is_the_catalogue(vault):
    table = subprocess.run(["/usr/bin/python3", ROOT / "tests/tools/provider_table.py"], check=True, text=True,
                           input=json.dumps(vault.cli_json("provider", "list")), capture_output=True).stdout
    assert table in (ROOT / "docs/PROVIDERS.md").read_text()
