"""Our certificates as another implementation sees them, and its requests as we see them."""

import hashlib
import subprocess

import pytest

from harness import BIN, make_request, openssl

TOOL = BIN / "tests/identity_tool"
URI = "strongroom://0102030405060708090a0b0c0d0e0f10/gateway/gw-1"


def tool(*arguments):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    make_request(directory, "request", extra=("-addext", "subjectAltName=DNS:evil.example",
                                              "-addext", "basicConstraints=critical,CA:TRUE"))
    assert tool("make", directory) == (0, {})
    return directory


def text(path):
    return openssl("x509", "-in", path, "-noout", "-text")


def who(made, name):
    der = made / f"{name}.der"
    openssl("x509", "-in", made / f"{name}.pem", "-outform", "DER", "-out", der)
    return tool("who", made / "ca.pem", der)


def test_the_ca_verifies_itself_and_may_sign_nothing_below_the_next_level(made):
    openssl("verify", "-x509_strict", "-check_ss_sig", "-CAfile", made / "ca.pem", made / "ca.pem")
    shown = text(made / "ca.pem")
    assert "CA:TRUE, pathlen:0" in shown
    assert "Certificate Sign, CRL Sign" in shown
    assert "ecdsa-with-SHA256" in shown
    assert "NIST CURVE: P-256" in shown


@pytest.mark.parametrize("name, purpose", [("client", "sslclient"), ("server", "sslserver"), ("issued", "sslclient")])
def test_certificates_verify_strictly_for_their_purpose(made, name, purpose):
    openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", made / "ca.pem", made / f"{name}.pem")


@pytest.mark.parametrize("name, purpose", [("client", "sslserver"), ("server", "sslclient")])
def test_certificates_do_not_verify_for_the_other_purpose(made, name, purpose):
    with pytest.raises(AssertionError):
        openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", made / "ca.pem", made / f"{name}.pem")


def test_a_client_certificate_has_one_name_one_purpose_and_one_use(made):
    for name in ("client", "issued"):
        shown = text(made / f"{name}.pem")
        assert f"URI:{URI}\n" in shown
        assert "DNS:" not in shown and "evil" not in shown
        assert "CA:FALSE" in shown
        assert "TLS Web Client Authentication\n" in shown
        assert "Key Usage: critical\n                Digital Signature\n" in shown
        assert "Authority Key Identifier" in shown and "Subject Key Identifier" in shown


def test_a_server_certificate_has_the_names_it_was_given(made):
    for host in ("localhost", "vault.example"):
        openssl("verify", "-verify_hostname", host, "-CAfile", made / "ca.pem", made / "server.pem")
    for address in ("127.0.0.1", "::1"):
        openssl("verify", "-verify_ip", address, "-CAfile", made / "ca.pem", made / "server.pem")
    with pytest.raises(AssertionError):
        openssl("verify", "-verify_hostname", "other.example", "-CAfile", made / "ca.pem", made / "server.pem")


def test_our_request_and_our_key_are_accepted_elsewhere(made):
    openssl("req", "-in", made / "client.csr", "-verify", "-noout")
    public = openssl("pkey", "-in", made / "client.key", "-pubout")
    assert public == openssl("req", "-in", made / "client.csr", "-pubkey", "-noout")


def test_the_key_hash_is_that_of_the_subject_public_key_info(made):
    for name in ("client", "issued"):
        code, holder = who(made, name)
        pem = openssl("x509", "-in", made / f"{name}.pem", "-pubkey", "-noout")
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem.encode(),
                             capture_output=True, check=True).stdout
        assert code == 0
        assert holder == {"role": "gateway", "name": "gw-1", "spki": hashlib.sha256(der).hexdigest()}


def test_the_server_certificate_is_nobody(made):
    assert who(made, "server") == (1, {"status": "no-identity", "why": "certificate is not for clients"})
