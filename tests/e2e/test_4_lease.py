"""Step 4: leasing with plain curl over mTLS, and every way to be refused."""

import datetime
import json
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest
from harness import Identity, Unreachable, await_that, self_signed, unique

HEX32, HEX64 = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{64}")


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def is_problem(reply, status, title, vault=None):
    """The reply is a complete problem document, and says what was asked for."""
    assert reply.status == status, reply
    assert reply.headers["content-type"].split(";")[0] == "application/problem+json"
    problem = reply.json
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", title, status)
    assert problem["detail"]
    assert problem["request_id"] == reply.request_id
    assert HEX32.fullmatch(reply.request_id)
    assert reply.headers["strongroom-region"] == "eu"
    return True


# --- what works ------------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_a_gateway_leases_a_key_with_plain_curl(vault, customer):
    reply = customer.lease(ttl_s=60, region="eu", purpose="a test")
    assert reply.status == 201
    lease = reply.json
    assert set(lease) == {"lease", "key", "provider", "version", "class", "engagement_id", "region", "issued",
                          "expires", "max_expires", "ttl_s", "value"}
    assert lease["value"] == customer.value
    assert HEX64.fullmatch(lease["lease"])
    assert (lease["key"], lease["provider"], lease["version"]) == (customer.path, "openai", 1)
    assert (lease["class"], lease["region"], lease["ttl_s"]) == ("static", "eu", 60)
    assert when(lease["expires"]) - when(lease["issued"]) == datetime.timedelta(seconds=60)


@pytest.mark.sanitize
def test_every_reply_names_its_request_and_the_region(vault, customer):
    replies = [customer.lease(), vault.curl("/v1/status", who=customer.gateway), vault.curl("/v1/status"),
               vault.curl("/v1/nothing", who=vault.operator), vault.curl("/v1/tenants", who=vault.operator),
               vault.curl("/v1/leases", who=customer.gateway, body=b"{"), vault.local("GET", "/v1/status")]
    ids = [reply.request_id for reply in replies]
    assert all(HEX32.fullmatch(number or "") for number in ids), ids
    assert len(set(ids)) == len(ids)
    assert [reply.headers.get("strongroom-region") for reply in replies] == ["eu"] * len(replies)


def test_the_request_id_and_the_purpose_are_in_the_record(vault, customer):
    reply = customer.lease(purpose="nightly batch")
    record = vault.named(customer.name, vault.records(customer.name)[-1][1])
    assert record["type"] == "lease.issued"
    assert record["request_id"] == reply.request_id
    assert record["lease_id"] == reply.json["lease"][:32]
    assert record["purpose"] == "nightly batch"
    assert record["actor"] == f"gateway:{customer.gateway.name}"
    assert record["expires"] == reply.json["expires"]


def test_a_gateway_may_ask_for_less_time_but_gets_no_more_than_its_grant(vault, customer):
    gateway = vault.add_gateway(customer.path, max_ttl_s=30)
    for asked, got in [({"ttl_s": 5}, 5), ({"ttl_s": 86400}, 30), ({}, 30)]:
        assert vault.call("POST", "/v1/leases", {"key": customer.path, **asked}, gateway).json["ttl_s"] == got


def test_no_grant_exceeds_the_vaults_own_bound(vault, customer):
    assert customer.leased()["ttl_s"] == 300
    assert customer.leased(ttl_s=86400)["ttl_s"] == 3600


@pytest.mark.sanitize
def test_a_lease_is_renewed_and_released(vault, customer):
    lease = customer.leased(ttl_s=30)
    reply = vault.curl(f"/v1/leases/{lease['lease']}/renew", who=customer.gateway, body={"ttl_s": 120})
    assert reply.status == 200
    renewed = reply.json
    assert "value" not in renewed
    assert (renewed["lease"], renewed["ttl_s"], renewed["version"]) == (lease["lease"], 120, 1)
    assert when(renewed["expires"]) > when(lease["expires"])
    assert lease["lease"][:32] in json.dumps(vault.api("GET", "/v1/leases"))
    assert vault.curl(f"/v1/leases/{lease['lease']}/release", who=customer.gateway, body={}).json == {}
    assert lease["lease"][:32] not in json.dumps(vault.api("GET", "/v1/leases"))
    assert is_problem(vault.curl(f"/v1/leases/{lease['lease']}/renew", who=customer.gateway, body={}),
                      404, "not-found")
    assert vault.types(customer.name)[-3:] == ["lease.issued", "lease.renewed", "lease.released"]


def test_an_expired_lease_cannot_be_renewed(vault, customer):
    lease = customer.leased(ttl_s=1)
    await_that("the lease is over", lambda: vault.call(
        "POST", f"/v1/leases/{lease['lease']}/renew", {}, customer.gateway).status == 404
        if time.time() > when(lease["expires"]).timestamp() else False)


def test_no_chain_of_renewals_outlives_the_vaults_bound(new_vault):
    vault = new_vault(lease_ttl_s=60, lease_max_ttl_s=60, lease_max_lifetime_s=90)
    customer = vault.customer()
    lease = customer.leased()
    for _ in range(3):
        renewed = vault.api("POST", f"/v1/leases/{lease['lease']}/renew", {}, customer.gateway)
        assert when(renewed["expires"]) - when(lease["issued"]) <= datetime.timedelta(seconds=90)


def test_a_lease_id_works_only_with_the_certificate_it_was_issued_to(vault, customer):
    lease = customer.leased()
    other = vault.add_gateway(customer.path)
    for verb in ("renew", "release"):
        reply = vault.call("POST", f"/v1/leases/{lease['lease']}/{verb}", {}, other)
        assert reply.status in (403, 404), reply
    assert vault.call("POST", f"/v1/leases/{lease['lease']}/renew", {}, customer.gateway).status == 200


def test_a_lease_id_cannot_be_made_up(vault, customer):
    token = customer.leased()["lease"]
    changed = token[:-1] + ("0" if token[-1] != "0" else "1")
    for wrong in (changed, "0" * 64, token[:32], "g" * 64, "x"):
        reply = vault.call("POST", f"/v1/leases/{wrong}/renew", {}, customer.gateway)
        assert reply.status in (400, 403, 404), f"{wrong}: {reply}"


# --- who is refused --------------------------------------------------------------------------------


@pytest.mark.sanitize
def test_no_certificate_is_refused(vault, customer):
    assert is_problem(vault.curl("/v1/leases", body={"key": customer.path}), 401, "no-identity")


def test_a_certificate_of_a_foreign_ca_is_refused(vault, customer):
    vault_id = vault.api("GET", "/v1/status")["vault"]
    foreign = self_signed(vault.files, unique("foreign"), f"strongroom://{vault_id}/gateway/{customer.gateway.name}")
    assert is_problem(customer.lease(who=foreign), 401, "no-identity")


def test_a_certificate_of_another_vault_is_refused(vault, customer, new_vault):
    other = new_vault()
    stranger = other.customer(customer.name).gateway
    assert is_problem(customer.lease(who=stranger), 401, "no-identity")


def test_an_expired_certificate_is_refused(new_vault):
    vault = new_vault()
    vault.write_config(certificate_days=1)
    vault.restart()
    vault.unlock()
    customer = vault.customer()
    assert customer.lease().status == 201
    vault.restart(offset="+2d")
    vault.unlock()
    reply = customer.lease()
    assert is_problem(reply, 401, "no-identity")
    assert "expired" in reply.json["detail"]


def test_a_revoked_certificate_is_refused(vault, customer):
    spki = next(c["spki"] for c in all_certificates(vault) if c["name"] == customer.gateway.name)
    vault.api("POST", "/v1/certificates/revoke", {"spki": spki})
    assert is_problem(customer.lease(), 401, "no-identity")


def all_certificates(vault):
    found, after = [], ""
    while after is not None:
        page = vault.api("GET", f"/v1/certificates?after={after}" if after else "/v1/certificates")
        found += page["certificates"]
        after = page["next"]
    return found


def test_tls_1_2_is_refused(vault, customer):
    with pytest.raises(Unreachable) as refused:
        vault.curl("/v1/leases", who=customer.gateway, body={"key": customer.path}, tls="1.2")
    assert refused.value.code in (35, 56), refused.value
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{vault.port}", "-tls1_2"],
                          input=b"", capture_output=True)
    assert done.returncode != 0
    assert b"Cipher is (NONE)" in done.stdout or b"no protocols available" in done.stderr


def test_plain_http_is_refused(vault):
    with socket.create_connection(("127.0.0.1", vault.port), timeout=10) as plain:
        plain.sendall(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = plain.recv(4096)
    assert not answer.startswith(b"HTTP/1.1 200"), answer


def test_the_server_shows_a_certificate_that_curl_accepts_only_with_the_vaults_ca(vault):
    with pytest.raises(Unreachable) as refused:
        from web import curl
        curl(vault.url + "/v1/status", ca=None)
    assert refused.value.code == 60


def test_the_gateway_of_another_tenant_is_refused(vault, customer):
    stranger = vault.customer()
    assert is_problem(customer.lease(who=stranger.gateway), 403, "denied")
    assert vault.types(customer.name)[-1] != "lease.issued"


@pytest.mark.parametrize("role", ["operator", "admin", "auditor", "tenant"])
def test_only_gateways_lease(vault, customer, role):
    who = vault.operator if role == "operator" else vault.certify(role, customer.name if role == "tenant" else "carol")
    assert is_problem(customer.lease(who=who), 403, "denied")


# --- what is refused -------------------------------------------------------------------------------


def test_an_unknown_key_is_refused(vault, customer):
    gateway = vault.add_gateway(f"{customer.name}/*")
    assert is_problem(vault.curl("/v1/leases", who=gateway, body={"key": f"{customer.name}/nothing"}),
                      404, "not-found")


def test_what_a_gateway_may_not_lease_looks_the_same_whether_it_exists_or_not(vault, customer):
    stranger = vault.customer()
    replies = [vault.curl("/v1/leases", who=customer.gateway, body={"key": key})
               for key in (stranger.path, f"{stranger.name}/nothing", "nobody-here/nothing")]
    assert len({(reply.status, reply.json["title"], reply.json["detail"]) for reply in replies}) == 1, replies


def test_the_key_of_an_ended_engagement_is_refused(vault, customer):
    lease = customer.leased()
    vault.cli("engagement", "end", f"{customer.name}/{customer.engagement}", "--yes")
    reply = customer.lease()
    assert is_problem(reply, reply.status, reply.json["title"])
    assert reply.status in (403, 409)
    renewed = vault.call("POST", f"/v1/leases/{lease['lease']}/renew", {}, customer.gateway)
    assert renewed.status in (403, 404, 409), "live leases end with the engagement"


def test_another_region_is_refused(vault, customer):
    assert is_problem(customer.lease(region="us"), 421, "wrong-region")


@pytest.mark.sanitize
def test_a_locked_vault_says_503(own):
    customer = own.customer()
    own.lock()
    for reply in (customer.lease(), own.curl("/v1/tenants", who=own.operator)):
        assert is_problem(reply, 503, "locked")
    assert is_problem(own.curl("/v1/leases", body={"key": customer.path}), 401, "no-identity")


MALFORMED = [
    b"{", b"", b"null", b"[]", b'"text"', b"1", b"{}", b"\xff\xfe", b"\0" * 16, b'{"key":"a/b"} trailing',
    b'{"key":7}', b'{"key":null}', b'{"key":["a/b"]}', b'{"key":""}', b'{"key":"no-slash"}', b'{"key":"a/b/c"}',
    b'{"key":"../x"}', b'{"key":"A/b"}', b'{"key":"a/b\\u0000"}', b'{"key":"a/' + b"b" * 64 + b'"}',
    b'{"key":"a/b","ttl_s":"60"}', b'{"key":"a/b","ttl_s":-1}', b'{"key":"a/b","ttl_s":1.5}',
    b'{"key":"a/b","ttl_s":0}', b'{"key":"a/b","ttl_s":99999999999999999999}', b'{"key":"a/b","region":7}',
    b'{"key":"a/b","purpose":{}}', b'{"key":"a/b","purpose":"' + b"p" * 5000 + b'"}',
    b'{"key":"a/b","key":"c/d"}', b"[" * 3000, b'{"a":' * 3000,
]


@pytest.mark.sanitize
def test_malformed_bodies_are_refused_and_change_nothing(vault, customer):
    before = vault.pid("server")
    records = len(vault.records(customer.name))
    client = vault.client(customer.gateway)
    for body in MALFORMED:
        reply = client("POST", "/v1/leases", body.replace(b"a/b", customer.path.encode()))
        assert reply.status == 400, f"{body[:60]!r}: {reply}"
        assert is_problem(reply, 400, "bad-input")
    client.close()
    types = vault.types(customer.name)[records:]
    assert "lease.issued" not in types
    assert vault.pid("server") == before
    assert customer.lease().status == 201


@pytest.mark.sanitize
@pytest.mark.parametrize("member", ["policy", "", "ke", "ttl", "key ttl_s", " ", "k" * 1000])
def test_an_unknown_member_is_refused(vault, customer, member):
    assert is_problem(customer.lease(**{member: "x"}), 400, "bad-input")


def test_an_oversized_body_is_refused(vault, customer):
    limit = 64 * 1024
    head = json.dumps({"key": customer.path}).encode()
    assert vault.curl("/v1/leases", who=customer.gateway, body=head.ljust(limit)).status == 201
    for size in (limit + 1, 1024 * 1024):
        assert is_problem(vault.curl("/v1/leases", who=customer.gateway, body=head.ljust(size)), 413, "too-large")
    assert is_problem(vault.curl("/v1/leases", "-H", "Transfer-Encoding: chunked", who=customer.gateway,
                                 body=head.ljust(limit + 1)), 413, "too-large")
    assert customer.lease().status == 201


def test_a_wrong_method_is_refused(vault, customer):
    for method, path in [("GET", f"/v1/leases/{'0' * 64}/renew"), ("PUT", "/v1/leases"), ("DELETE", "/v1/leases"),
                         ("POST", "/v1/status"), ("PATCH", "/v1/tenants")]:
        reply = vault.curl(path, who=vault.operator, method=method)
        assert is_problem(reply, 405, "method-not-allowed"), f"{method} {path}"


def test_an_unknown_route_is_refused(vault, customer):
    for path in ("/", "/v1", "/v1/", "/v2/leases", "/v1/leases/", "/v1/leasesx", "/v1/tenants/a/b/c/d/e",
                 "/v1/%2e%2e/status", "/v1/status/", "/%00", "/v1/tenants/" + "x" * 200):
        reply = vault.curl(path, "--path-as-is", who=vault.operator)
        assert is_problem(reply, 404, "not-found"), path


def test_unknown_routes_without_a_certificate_tell_nothing(vault):
    assert is_problem(vault.curl("/v1/nothing"), 401, "no-identity")


def test_too_many_headers_are_refused_and_the_server_goes_on(vault, customer):
    before = vault.pid("server")
    many = [word for number in range(2000) for word in ("-H", f"X-Filler-{number}: {'x' * 20}")]
    one = ["-H", "X-Filler: " + "x" * 40000]
    for headers in (many, one):
        try:
            reply = vault.curl("/v1/leases", *headers, who=customer.gateway, body={"key": customer.path})
            assert 400 <= reply.status < 500, reply
        except Unreachable:
            pass  # the connection was closed: as good
    assert vault.pid("server") == before
    assert customer.lease().status == 201


def test_garbage_and_silence_on_the_port_do_no_harm(vault, customer):
    before = vault.pid("server")
    context = ssl.create_default_context(cafile=str(vault.ca))
    context.load_cert_chain(customer.gateway.certificate, customer.gateway.key)
    silent = [socket.create_connection(("127.0.0.1", vault.port), timeout=10) for _ in range(20)]
    for content in (b"\x16\x03\x01" + b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n", bytes(1000)):
        with socket.create_connection(("127.0.0.1", vault.port), timeout=10) as raw:
            raw.sendall(content)
    for content in (b"GARBAGE\r\n\r\n", b"POST /v1/leases HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                    b"POST /v1/leases HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n",
                    b"POST /v1/leases HTTP/1.1\r\nContent-Length: 10\r\n\r\n{"):
        with context.wrap_socket(socket.create_connection(("127.0.0.1", vault.port), timeout=10),
                                 server_hostname="localhost") as inside:
            inside.sendall(content)
    assert customer.lease().status == 201
    for one in silent:
        one.close()
    assert vault.pid("server") == before


def test_refusals_are_recorded_with_their_reason(vault, customer):
    reply = customer.lease(region="us")
    record = vault.await_record(customer.name, request_id=reply.request_id) \
        if any(r.get("request_id") == reply.request_id for _, r in vault.records(customer.name)) \
        else vault.await_record("vault", request_id=reply.request_id)
    assert (record["type"], record["outcome"]) == ("lease.refused", "denied")
    assert record["key"] == customer.path
    assert record["why"]


def test_a_flood_of_refusals_is_counted_instead_of_written(own):
    customer = own.customer()
    client = own.client(customer.gateway)
    for _ in range(200):
        assert client("POST", "/v1/leases", {"key": "nobody-here/nothing"}).status == 403
    client.close()
    own.lock()
    own.unlock()
    refused = [r for log in ("vault", customer.name) for _, r in own.records(log) if "refused" in r["type"]]
    single = [r for r in refused if r["type"] == "lease.refused"]
    counted = [r for r in refused if r["type"] == "requests.refused"]
    assert len(single) <= 25
    assert len(single) + sum(r["count"] for r in counted) == 200


# --- many at once ----------------------------------------------------------------------------------


@pytest.mark.tsan
def test_many_gateways_lease_while_a_key_is_revoked(vault, customer):
    """After the answer to revoke nobody gets the key any more; before it, everybody is answered."""
    gateways = [vault.add_gateway(customer.path) for _ in range(4)]
    results, stop, lock = [], threading.Event(), threading.Lock()

    def work(gateway):
        client = vault.client(gateway)
        while not stop.is_set():
            began = time.monotonic()
            reply = client("POST", "/v1/leases", {"key": customer.path})
            with lock:
                results.append((began, reply.status, reply.json.get("lease", "")[:32]))
        client.close()

    threads = [threading.Thread(target=work, args=(gateway,)) for gateway in gateways * 2]
    for thread in threads:
        thread.start()
    try:
        await_that("leases flow", lambda: len(results) >= 100)
        vault.api("POST", f"/v1/tenants/{customer.name}/keys/{customer.key}/revoke", {})
        revoked = time.monotonic()
        seen = len(results)
        await_that("refusals flow", lambda: len(results) >= seen + 20)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    statuses = {status for _, status, _ in results}
    assert 201 in statuses and statuses <= {201, 403, 404, 409}, statuses
    assert all(status != 201 for began, status, _ in results if began > revoked)
    issued = [r["lease_id"] for _, r in vault.records(customer.name) if r["type"] == "lease.issued"]
    assert sorted(issued) == sorted(lease for _, status, lease in results if status == 201)


@pytest.mark.tsan
def test_whoever_reads_the_trail_under_load_finds_every_lease_that_was_answered(vault, customer):
    """Long enough for the database to be filled, and committed, behind what is appended."""
    answered, over = [], threading.Event()

    def work():
        client = vault.client(customer.gateway)
        while not over.is_set():
            answered.append(client("POST", "/v1/leases", {"key": customer.path}).json["lease"][:32])
        client.close()

    def issued():
        return [record["lease_id"] for _, record in vault.records(customer.name) if record["type"] == "lease.issued"]

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        while len(answered) < 5000:
            before = list(answered)
            assert set(before) <= set(issued())
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert sorted(issued()) == sorted(answered)
    customer.give_all_back()


@pytest.mark.tsan
def test_locking_during_load_answers_everybody(own):
    customer = own.customer()
    results, stop = [], threading.Event()

    def work():
        client = own.client(customer.gateway)
        while not stop.is_set():
            results.append(client("POST", "/v1/leases", {"key": customer.path}).status)
        client.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        await_that("leases flow", lambda: results.count(201) >= 50)
        own.lock()
        await_that("everybody is told", lambda: results.count(503) >= 20)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(results) == {201, 503}


@pytest.mark.tsan
def test_admins_and_gateways_work_at_the_same_time(vault):
    failures = []

    def admin():
        for _ in range(3):
            try:
                made = vault_customer()
                assert made.status == 201
            except AssertionError as failure:
                failures.append(failure)

    def vault_customer():
        client = vault.client(vault.operator)
        name = unique("busy")
        client("POST", "/v1/tenants", {"name": name})
        client("POST", f"/v1/tenants/{name}/engagements", {"name": "e"})
        reply = client("POST", f"/v1/tenants/{name}/keys/k", {"provider": "openai", "sealed_key": sealed})
        client("GET", "/v1/tenants")
        client("GET", f"/v1/logs/{name}/records")
        client.close()
        return reply

    sealed = vault.seal("sk-test-busy")
    threads = [threading.Thread(target=admin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_an_identity_is_more_than_a_file(vault, customer):
    """The certificate of one gateway with the private key of another is nobody at all."""
    other = vault.add_gateway(customer.path)
    with pytest.raises(Unreachable):
        customer.lease(who=Identity("mixed", other.key, customer.gateway.certificate))
