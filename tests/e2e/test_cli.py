"""The CLI itself: help, usage errors, exit codes, JSON."""

import json
import subprocess

import pytest
from harness import (BIN, CONFLICT, DENIED, LOCKED, NOT_FOUND, OK, UNCONNECTED, USAGE, new_provider_key, unique)


def test_help_lists_every_command_and_the_exit_codes(vault):
    text = vault.cli("help").out
    for words in ("init", "unlock", "lock", "status", "tenant create", "engagement start", "engagement end", "key put",
                  "key rotate", "key revoke", "key list", "gateway add", "gateway grant", "certificate issue",
                  "audit show", "audit verify", "audit export", "profile create"):
        assert words in text, words
    assert vault.cli("--help").out


@pytest.mark.parametrize("noun", ["tenant", "engagement", "key", "gateway", "certificate", "audit"])
def test_every_noun_explains_itself(vault, noun):
    assert noun in vault.cli(noun, "--help").out


@pytest.mark.parametrize("words", [
    ["nonsense"], ["tenant"], ["tenant", "destroy"], ["tenant", "create"], ["tenant", "create", "a", "b", "c"],
    ["--no-such-option", "status"], ["key", "list"], ["gateway", "add", "x"], ["audit", "verify"],
    ["certificate", "issue", "--role", "tenant"], ["key", "rotate", "a/b", "--grace", "soon"],
    ["status", "--grace", "1"], ["--profile"], ["audit", "show", "vault", "--limit", "-1"],
], ids=" ".join)
def test_a_usage_error_ends_with_2_and_says_what_to_do(vault, words):
    done = vault.cli(*words, expect=USAGE)
    assert done.err.startswith("strongroom: ")
    assert not done.out


def test_no_arguments_at_all_show_help(vault):
    done = vault.cli(expect=None)
    assert done.code in (OK, USAGE) and "tenant" in done.text


def test_json_is_for_programs(vault, customer):
    for words in (["status"], ["tenant", "list"], ["tenant", "show", customer.name], ["key", "list", customer.name],
                  ["key", "show", customer.path], ["engagement", "list", customer.name], ["gateway", "list"],
                  ["certificate", "list"], ["lease", "list"], ["slot", "list"]):
        assert isinstance(json.loads(vault.cli("--json", *words).out), dict), words
    created = vault.cli_json("tenant", "create", unique("acme"))
    assert len(created["id"]) == 32


def test_errors_go_to_standard_error_and_leave_standard_output_to_programs(vault):
    done = vault.cli("--json", "tenant", "show", "nobody-here", expect=NOT_FOUND)
    assert not done.out
    assert done.err.startswith("strongroom: ")


def test_failures_name_the_request(vault):
    """So that whoever is asked for help finds the record."""
    done = vault.cli("tenant", "show", "nobody-here", expect=NOT_FOUND)
    assert any(len(word.strip(".,;:()[]")) == 32 for word in done.err.split()), done.err


def test_exit_codes_tell_reactions_apart(vault, customer, tmp_path):
    vault.cli("tenant", "create", customer.name, expect=CONFLICT)
    vault.cli("key", "show", f"{customer.name}/nothing", expect=NOT_FOUND)
    vault.cli("status", profile=tmp_path / "empty", expect=DENIED)
    vault.cli("--url", "https://127.0.0.1:1", "tenant", "list", expect=UNCONNECTED)
    vault.cli("--socket", tmp_path / "nobody", "status", expect=UNCONNECTED)


def test_scripts_can_ask_whether_the_vault_is_open(own):
    own.cli("status", "--exit-code")
    own.lock()
    own.cli("status", "--exit-code", expect=LOCKED)
    own.cli("status")


def test_the_cli_leases_like_a_gateway(vault, customer, tmp_path):
    directory = tmp_path / "gateway"
    vault.cli("--url", vault.url, "profile", "create", "--ca", vault.ca, "--certificate",
              customer.gateway.certificate, "--key", customer.gateway.key, profile=directory)
    lease = vault.cli_json("lease", "get", customer.path, "--ttl", "30", profile=directory)
    assert (lease["value"], lease["ttl_s"]) == (customer.value, 30)
    vault.cli("lease", "renew", lease["lease"], profile=directory)
    vault.cli("lease", "release", lease["lease"], profile=directory)
    vault.cli("tenant", "list", profile=directory, expect=DENIED)


def test_a_server_of_another_vault_is_not_trusted(vault, new_vault, customer):
    other = new_vault()
    done = vault.cli("--url", other.url, "tenant", "list", expect=UNCONNECTED)
    assert "certificate" in done.err.lower() or "trust" in done.err.lower() or "CA" in done.err


def test_output_files_are_never_replaced_when_they_hold_a_key(vault, tmp_path):
    key = tmp_path / "key.pem"
    key.write_text("precious")
    vault.cli("certificate", "request", "--name", "x", "--out-key", key, "--out-csr", tmp_path / "csr", expect=None)
    assert key.read_text() == "precious"


def test_control_characters_from_elsewhere_do_not_steer_the_terminal(vault, customer):
    vault.call("POST", "/v1/leases", {"key": customer.path, "purpose": "\x1b[2Jgone"}, customer.gateway)
    assert "\x1b" not in vault.cli("audit", "show", customer.name).out


def test_the_programs_know_their_version():
    for program in ("strongroom", "strongroomd"):
        done = subprocess.run([BIN / program, "--version"], capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 2), done


def test_a_key_never_reaches_the_output_even_when_it_is_refused(vault):
    value = new_provider_key()
    done = vault.cli("key", "put", "nobody-here/key", "--provider", "openai", stdin=value.encode(), expect=NOT_FOUND)
    assert value not in done.text
