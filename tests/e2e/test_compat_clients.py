"""The Vault-compatible read API with the clients that people have: hvac, and LiteLLM's secret manager."""

import json
import subprocess
from pathlib import Path

import hvac
import pytest
from compat import Compat
from harness import SLOW

LITELLM = Path(__file__).resolve().parents[2] / "build/litellm/bin/python"


@pytest.fixture(scope="module")
def compat():
    compat = Compat()
    yield compat
    compat.vault.close()


def client_of(compat, customer, certificate=True, **more):
    pair = (str(customer.gateway.certificate), str(customer.gateway.key)) if certificate else None
    return hvac.Client(url=compat.url, verify=str(compat.vault.ca), cert=pair, namespace=customer.name, **more)


def log_in(client, customer):
    client.auth.cert.login(cert_pem=str(customer.gateway.certificate), key_pem=str(customer.gateway.key))
    return client


def test_hvac_logs_in_with_a_certificate_and_reads_kv2_and_kv1(compat):
    customer = compat.customer()
    client = log_in(client_of(compat, customer), customer)
    assert client.is_authenticated()
    read = client.secrets.kv.v2.read_secret_version(path=customer.key)
    assert read["data"]["data"]["key"] == customer.value
    assert client.secrets.kv.v1.read_secret(customer.key, mount_point="kv")["data"]["value"] == customer.value
    assert client.read(f"kv/{customer.key}")["data"]["value"] == customer.value
    assert client.secrets.kv.v2.list_secrets("")["data"]["keys"] == [customer.key]
    assert client.list("secret/metadata")["data"]["keys"] == [customer.key]
    assert client.secrets.kv.v2.read_secret_metadata(customer.key)["data"]["current_version"] == 1


def test_hvac_hears_of_an_old_version_what_vault_would_say(compat):
    customer = compat.customer()
    client = log_in(client_of(compat, customer), customer)
    compat.vault.rotate_key(customer.name)
    with pytest.raises(hvac.exceptions.InvalidPath):
        client.secrets.kv.v2.read_secret_version(customer.key, version=1)
    assert client.secrets.kv.v2.read_secret_version(customer.key, version=2)["data"]["metadata"]["version"] == 2


def test_hvac_looks_up_renews_and_revokes_its_token(compat):
    customer = compat.customer()
    client = log_in(client_of(compat, customer), customer)
    assert client.auth.token.lookup_self()["data"]["id"] == client.token
    assert client.auth.token.renew_self(increment="10m")["auth"]["client_token"] == client.token
    client.auth.token.revoke_self()
    assert not client.is_authenticated()


def test_hvac_logs_in_with_a_role(compat):
    customer = compat.customer("source_ip")
    role = compat.approle(customer.gateway, binding="source_ip", cidr="127.0.0.0/8")
    client = client_of(compat, customer, certificate=False)
    client.auth.approle.login(role["role_id"], role["secret_id"])
    assert client.secrets.kv.v2.read_secret_version(customer.key)["data"]["data"][
        "api_key"] == customer.value
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.auth.approle.login(role["role_id"], "wrong")


def test_hvac_renews_and_revokes_a_lease(compat):
    customer = compat.customer()
    client = log_in(client_of(compat, customer), customer)
    lease = client.read(f"strongroom/creds/{customer.key}")
    assert lease["renewable"] and lease["lease_duration"] == 300
    assert client.sys.renew_lease(lease["lease_id"], increment=120)["lease_duration"] == 120
    client.sys.revoke_lease(lease["lease_id"])
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.sys.renew_lease(lease["lease_id"])


def test_hvac_reads_the_state_of_the_vault_and_parses_errors(compat):
    customer, other = compat.customer(), compat.customer()
    client = log_in(client_of(compat, customer), customer)
    assert client.sys.read_health_status(method="GET")["version"] == "1.15.0+strongroom"
    assert client.sys.read_health_status(method="HEAD").status_code == 200
    assert client.sys.is_initialized() and not client.sys.is_sealed()
    assert client.sys.read_leader_status()["ha_enabled"] is False
    client.adapter.namespace = other.name
    with pytest.raises(hvac.exceptions.Forbidden, match="permission denied"):
        client.secrets.kv.v2.read_secret_version(other.key)


# --- LiteLLM ---------------------------------------------------------------------------------------


def litellm(compat, *configurations):
    """What LiteLLM's own client of HashiCorp Vault reads, configured by environment variables as its users do it:
    one process, because its import takes seconds."""
    if not LITELLM.exists():
        pytest.skip("LiteLLM is not installed: ./dev deps could not reach PyPI")
    done = subprocess.run([LITELLM, Path(__file__).with_name("litellm_reads.py")], capture_output=True, text=True,
                          timeout=60 * SLOW, input=json.dumps(configurations), env={
                              **compat.vault.environment(), "HCP_VAULT_ADDR": compat.url,
                              "SSL_CERT_FILE": str(compat.vault.ca), "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_litellm_reads_a_key_by_a_certificate_or_a_role_with_the_namespace_in_the_path(compat):
    customer = compat.customer("source_ip")  # its reads do not show the certificate
    role = compat.approle(customer.gateway, binding="source_ip")
    certificate = {"HCP_VAULT_CLIENT_CERT": str(customer.gateway.certificate),
                   "HCP_VAULT_CLIENT_KEY": str(customer.gateway.key), "HCP_VAULT_TOKEN": "unused"}
    approle = {"HCP_VAULT_APPROLE_ROLE_ID": role["role_id"], "HCP_VAULT_APPROLE_SECRET_ID": role["secret_id"]}
    reads = [["sync", customer.key], ["async", customer.key], ["sync", "nothing"]]
    for_both = {"HCP_VAULT_NAMESPACE": customer.name}
    assert litellm(compat, {"environment": {**for_both, **certificate}, "reads": reads},
                   {"environment": {**for_both, **approle}, "reads": reads[:1]},
                   {"environment": {**for_both, **certificate, "HCP_VAULT_CERT_ROLE": customer.gateway.name},
                    "reads": reads[:1]}) == [[customer.value, customer.value, None], [customer.value], [customer.value]]
    assert compat.vault.types("vault").count("token.issued") >= 3
