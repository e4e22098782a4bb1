"""Usage flows back: what gateways report becomes records and sums, once, and nothing of what was said to a model does."""

import csv
import io
import json
import os
import pwd
import re
import socket
import ssl
import subprocess
import textwrap

import memory
import pytest
from harness import ROOT, await_that, free_port, unique
from web import curl, die_with_parent

PROMPT = "the patient's name is Ottilie Quendel"


def report(vault, gateway, *reports, path="/v1/usage", **more):
    return vault.call("POST", path, {"reports": list(reports), **more}, gateway)


def usage_of(vault, tenant):
    """The usage records of a tenant's log, by type."""
    return [record for _, record in vault.records(tenant) if record["type"].startswith("usage.")]


def sums(vault, tenant, by="model"):
    return vault.cli_json("usage", "show", tenant, "--by", by)["rows"]


def leased(customer):
    return customer.leased()["lease"]


# --- native ------------------------------------------------------------------------------------------


@pytest.mark.sanitize
@pytest.mark.tsan
def test_a_report_of_a_lease_is_a_record_and_a_sum(vault, customer):
    lease = leased(customer)
    reply = report(vault, customer.gateway, {
        "lease": lease, "report": 1, "requests": 12, "model": "gpt-5", "input_tokens": 3000, "output_tokens": 450,
        "cost": "0.001234", "status": {"200": 10, "429": 1, "503": 1}, "request_ids": ["req_1", "req_2"],
        "from": "2026-11-30T10:00:00.000000Z", "to": "2026-11-30T10:01:00.000000Z"})
    assert reply.status == 200, reply
    assert reply.json == {"counted": 1, "gaps": 0, "duplicates": [], "refused": [], "dropped": 0}
    record, = usage_of(vault, customer.name)
    told = {name: record[name] for name in (
        "type", "lease", "key", "class", "key_version", "report", "model", "requests", "input_tokens", "output_tokens",
        "cost_micro", "status_ok", "status_throttled", "status_server_error", "failures", "request_ids", "since", "until")}
    assert told == {
        "type": "usage.reported", "lease": lease[:32], "key": customer.path, "class": "static", "key_version": 1,
        "report": 1, "model": "gpt-5", "requests": 12, "input_tokens": 3000, "output_tokens": 450, "cost_micro": 1234,
        "status_ok": 10, "status_throttled": 1, "status_server_error": 1, "failures": 2, "request_ids": "req_1 req_2",
        "since": "2026-11-30T10:00:00.000000Z", "until": "2026-11-30T10:01:00.000000Z"}
    assert record["actor"] == f"gateway:{customer.gateway.name}" and record["request_id"] == reply.request_id
    assert len(record["certificate"]) == 64 and "inferred" not in record
    assert sums(vault, customer.name) == [{
        "model": "gpt-5", "class": "static", "requests": 12, "failures": 2, "input_tokens": 3000, "output_tokens": 450,
        "cost_micro": 1234, "reports": 1, "inferred": 0}]


def test_a_lease_that_ended_just_now_may_still_be_reported_of(vault, customer):
    lease = leased(customer)
    assert vault.call("POST", f"/v1/leases/{lease}/release", {}, customer.gateway).status == 200
    assert report(vault, customer.gateway, {"lease": lease, "report": 1}).json["counted"] == 1


def test_a_report_that_names_only_the_key_is_joined_to_it_and_says_so(vault, customer):
    reply = report(vault, customer.gateway, {"key": customer.path, "report": 1, "model": "m", "requests": 2})
    assert reply.json["counted"] == 1
    record, = usage_of(vault, customer.name)
    assert record["inferred"] is True and record["key"] == customer.path
    assert "lease" not in record and "key_version" not in record
    assert sums(vault, customer.name)[0]["inferred"] == 1


def test_a_number_that_was_there_is_not_counted_again_and_one_that_was_not_leaves_a_gap(vault, customer):
    lease = leased(customer)

    def send(*numbers):
        return report(vault, customer.gateway, *({"lease": lease, "report": n, "requests": 1} for n in numbers)).json

    assert send(1)["counted"] == 1
    assert send(1) == {"counted": 0, "gaps": 0, "duplicates": [0], "refused": [], "dropped": 0}
    assert send(2, 2, 5) == {"counted": 2, "gaps": 1, "duplicates": [1], "refused": [], "dropped": 0}
    assert send(4)["counted"] == 1, "a late one that was missed is counted"
    assert send(4)["duplicates"] == [0]
    gap, = (record for record in usage_of(vault, customer.name) if record["type"] == "usage.gap")
    assert (gap["first_report"], gap["last_report"], gap["lease"]) == (3, 4, lease[:32])
    assert sums(vault, customer.name)[0]["requests"] == 4


def test_what_was_counted_is_known_after_a_restart_and_a_crash(new_vault):
    vault = new_vault()
    customer = vault.customer()
    lease = leased(customer)
    first = {"lease": lease, "report": 1, "requests": 5, "cost": 0.5}
    assert report(vault, customer.gateway, first).json["counted"] == 1
    vault.kill("server")
    vault.come_back()
    again = report(vault, customer.gateway, first, {"lease": lease, "report": 2, "requests": 1}).json
    assert (again["counted"], again["duplicates"]) == (1, [0])
    vault.restart()
    vault.unlock()
    again = report(vault, customer.gateway, first, {"key": customer.path, "report": 1}).json
    assert (again["counted"], again["duplicates"]) == (1, [0])
    assert sums(vault, customer.name, "key")[0]["requests"] == 7
    assert sums(vault, customer.name, "key")[0]["cost_micro"] == 500000


def test_nobody_reports_of_anothers_lease_or_of_a_key_without_a_grant(vault, customer):
    lease, other = leased(customer), vault.customer()
    for wrong, status in [({"lease": lease}, 404), ({"lease": "0" * 32}, 404), ({"key": customer.path}, 403),
                          ({"key": f"{other.name}/nothing"}, 403), ({}, 400)]:
        reply = report(vault, other.gateway, {"report": 1, **wrong})
        assert reply.status == status, (wrong, reply)
    assert usage_of(vault, customer.name) == []
    assert vault.call("POST", "/v1/usage", {"reports": []}, other.gateway).status == 400
    for path in ("/v1/usage", "/v1/usage/litellm", "/v1/otlp/v1/traces", "/v1/otlp/v1/logs"):
        assert vault.call("POST", path, {}, vault.operator).status == 403, "whatever the body"


def test_the_good_reports_of_a_body_count_and_the_others_are_named(vault, customer):
    key = {"key": customer.path}
    reply = report(vault, customer.gateway, {**key, "report": 1}, {**key, "report": 0}, {"key": "no/where", "report": 1},
                   {**key, "report": 2, "cost": -1}, {**key, "report": 2, "model": "a b"}, 7, {**key, "report": 2})
    assert reply.status == 200
    assert reply.json["counted"] == 2
    assert [(r["index"], r["title"]) for r in reply.json["refused"]] == [
        (1, "bad-input"), (2, "denied"), (3, "bad-input"), (4, "bad-input"), (5, "bad-input")]
    assert all(r["detail"] for r in reply.json["refused"])
    refusal = vault.await_record("vault", type="request.refused", request_id=reply.request_id)
    assert (refusal["verb"], refusal["code"]) == ("usage.report", "bad-input")


def test_what_was_said_to_a_model_is_dropped_and_counted(vault, customer):
    reply = report(vault, customer.gateway, {
        "key": customer.path, "report": 1, "model": "m", "prompt": PROMPT,
        "messages": [{"role": "user", "content": PROMPT}], "completion": {"text": [PROMPT]}}, note=PROMPT)
    assert reply.json["counted"] == 1 and reply.json["dropped"] == 4
    record, = usage_of(vault, customer.name)
    assert record["dropped"] == 3
    assert "Ottilie" not in json.dumps([record for _, record in vault.records(customer.name)])
    assert "Ottilie" not in json.dumps([record for _, record in vault.records("vault")])


# --- sums --------------------------------------------------------------------------------------------


def test_sums_are_shown_as_a_table_as_json_and_as_csv(vault, customer):
    for number, model in enumerate(["gpt-5", "claude-opus-4-5", "gpt-5"], 1):
        report(vault, customer.gateway, {"key": customer.path, "report": number, "model": model, "requests": number,
                                         "input_tokens": 10, "cost": "1.25"})
    table = vault.cli("usage", "show", customer.name, "--by", "key,model").text.splitlines()
    assert table[0].split() == ["KEY", "MODEL", "CLASS", "REQUESTS", "FAILURES", "INPUT", "OUTPUT", "COST", "REPORTS",
                                "INFERRED"]
    assert table[2].split() == ["openai-prod", "gpt-5", "static", "4", "0", "20", "0", "2.500000", "2", "2"]
    rows = list(csv.DictReader(io.StringIO(vault.cli("usage", "show", customer.name, "--by", "model", "--csv").text)))
    assert [(row["model"], row["requests"], row["cost"]) for row in rows] == [
        ("claude-opus-4-5", "2", "1.250000"), ("gpt-5", "4", "2.500000")]
    assert [row["cost_micro"] for row in sums(vault, customer.name)] == [1250000, 2500000]
    narrow = vault.cli_json("usage", "show", customer.name, "--model", "gpt-5", "--key", "openai-prod", "--gateway",
                            customer.gateway.name, "--since", "7d", "--by", "day,gateway")["rows"]
    assert {row["gateway"] for row in narrow} == {customer.gateway.name}
    assert sum(row["requests"] for row in narrow) == 4  # of one day, or of two about midnight
    assert vault.cli_json("usage", "show", customer.name, "--until", "2026-01-01")["rows"] == []


def test_a_tenant_sees_its_own_sums_and_a_gateway_none(vault, customer):
    other = vault.customer()
    for who in (customer, other):
        report(vault, who.gateway, {"key": who.path, "report": 1})
    tenant = vault.certify("tenant", customer.name)
    rows = vault.api("GET", "/v1/usage?by=tenant", who=tenant)["rows"]
    assert [row["tenant"] for row in rows] == [customer.name]
    assert vault.call("GET", f"/v1/usage?tenant={other.name}", who=tenant).status == 404
    assert vault.call("GET", "/v1/usage", who=customer.gateway).status == 403
    named = vault.api("GET", f"/v1/usage?by=tenant,key&key={customer.path}")["rows"]
    assert [(row["tenant"], row["key"]) for row in named] == [(customer.name, "openai-prod")]
    for wrong in ("by=week", "since=today", "until=2026-13-01", "key=A", "tenant=%20"):
        assert vault.call("GET", f"/v1/usage?{wrong}", who=tenant).status == 400, wrong


# --- LiteLLM -----------------------------------------------------------------------------------------


def payload(number, **more):
    """A StandardLoggingPayload as LiteLLM documents it, with what was said in it."""
    return {
        "id": f"chatcmpl-{number}", "trace_id": "t", "call_type": "acompletion", "stream": False, "status": "success",
        "response_cost": 3.5e-05, "cost_breakdown": {"input_cost": 1e-05, "output_cost": 2.5e-05, "total_cost": 3.5e-05},
        "total_tokens": 30, "prompt_tokens": 10, "completion_tokens": 20, "startTime": 1764500000.5,
        "endTime": 1764500001.75, "completionStartTime": 1764500001.0, "response_time": 1.25, "model": "gpt-4o",
        "model_id": "e0", "model_group": "gpt", "api_base": "https://api.openai.com", "cache_hit": None,
        "metadata": {"user_api_key_hash": None, "user_api_key_alias": "x", "requester_metadata": None},
        "request_tags": ["production"], "end_user": "", "requester_ip_address": None,
        "messages": [{"role": "user", "content": PROMPT}],
        "response": {"choices": [{"message": {"content": PROMPT, "role": "assistant"}}]}, "error_str": None,
        "error_information": {"error_code": "", "error_class": "", "llm_provider": "", "error_message": ""},
        "model_parameters": {"temperature": 0.1}, "hidden_params": {"model_id": "e0", "cache_key": None}, **more}


def sent(vault, gateway, body, path="/v1/usage/litellm", *options):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return vault.curl(path, "-H", "Content-Type: application/json", *options, who=gateway, body=data)


@pytest.mark.sanitize
def test_litellms_callback_becomes_one_record_for_each_lease_or_key_and_model(vault, customer):
    lease = leased(customer)
    tag = {"request_tags": [f"strongroom_lease:{lease[:32]}"]}
    body = [payload(1, **tag), payload(2, **tag), payload(3, model="o3", **tag),
            payload(4, status="failure", response_cost=0, error_information={"error_code": "429"}, **tag)]
    reply = sent(vault, customer.gateway, body)
    assert reply.status == 200, reply
    assert reply.json == {"counted": 4, "gaps": 0, "duplicates": [], "refused": [], "dropped": 8}
    first, second = usage_of(vault, customer.name)
    assert (first["model"], first["requests"], first["cost_micro"], first["input_tokens"]) == ("gpt-4o", 3, 70, 30)
    assert (first["status_ok"], first["status_throttled"], first["failures"], first["dropped"]) == (2, 1, 1, 6)
    assert (first["lease"], first["request_ids"]) == (lease[:32], "chatcmpl-1 chatcmpl-2 chatcmpl-4")
    assert (second["model"], second["requests"], second["cost_micro"]) == ("o3", 1, 35)
    assert "report" not in first


def test_litellm_sends_lines_or_one_object_and_says_again_what_was_not_answered(vault, customer):
    key = ("-H", f"Strongroom-Key: {customer.path}")
    lines = b"\n".join(json.dumps(payload(n)).encode() for n in (11, 12))
    assert sent(vault, customer.gateway, lines, "/v1/usage/litellm", *key).json["counted"] == 2
    again = sent(vault, customer.gateway, [payload(12), payload(13), payload(13)], "/v1/usage/litellm", *key).json
    assert (again["counted"], again["duplicates"]) == (1, [0, 2])
    assert sent(vault, customer.gateway, payload(14), f"/v1/usage/litellm?key={customer.path}").json["counted"] == 1
    assert sums(vault, customer.name)[0]["requests"] == 4
    assert sent(vault, customer.gateway, payload(15)).status == 400, "neither lease nor key"


def in_memory(vault, *texts):
    """Which of the texts stand in the server's memory, as far as it can be read from outside."""
    pid, hidden = vault.pid("server"), set()
    with memory.stopped(pid):
        content = [content for _, content in memory.regions(pid, hidden)]
    assert hidden <= {memory.HIDDEN_SLAB}
    return {text for text in texts if any(text.encode() in part for part in content)}


def test_large_bodies_are_taken_of_gateways_and_their_prompts_are_nowhere(new_vault):
    vault = new_vault()
    customer = vault.customer()
    said = (PROMPT + " ") * 500
    body = json.dumps([payload(n, messages=[{"role": "user", "content": said}]) for n in range(100)]).encode()
    assert 1_500_000 < len(body) < 4 << 20
    path = f"/v1/usage/litellm?key={customer.path}"
    assert sent(vault, customer.gateway, body, path).json["counted"] == 100
    assert sent(vault, customer.gateway, b"[" + b" " * (4 << 20) + b"]", path).status == 413
    assert sent(vault, vault.operator, body[:200000], path).status == 413, "of others not even looked at"
    assert sent(vault, customer.gateway, body[:200000], "/v1/leases").status == 413
    everything = json.dumps([vault.records(log) for log in (customer.name, "vault")])
    assert "Ottilie" not in everything and "Ottilie" not in vault.log()
    # Connections end a moment after their answer, and with them what they had in hand.
    await_that("prompts are gone from memory", lambda: in_memory(vault, "Ottilie", customer.name) == {customer.name})
    vault.stop()
    for file in vault.base.rglob("*"):
        if file.is_file() and not file.is_relative_to(vault.files):
            assert b"Ottilie" not in file.read_bytes(), file


def test_so_many_large_bodies_are_taken_at_once_and_the_next_waits(vault, customer):
    context = ssl.create_default_context(cafile=str(vault.ca))
    context.load_cert_chain(customer.gateway.certificate, customer.gateway.key)
    path, body = f"/v1/usage/litellm?key={customer.path}", json.dumps([payload(200)]).encode() + b" " * 200000
    open_ones = []
    for _ in range(8):
        connection = context.wrap_socket(socket.create_connection(("127.0.0.1", vault.port)), server_hostname="localhost")
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        connection.sendall(body[:150000])
        open_ones.append(connection)
    await_that("a ninth is too many", lambda: sent(vault, customer.gateway, body, path).status == 429)
    for connection in open_ones:
        connection.close()
    await_that("there is room again", lambda: sent(vault, customer.gateway, body, path).status == 200)


# --- OpenTelemetry -----------------------------------------------------------------------------------


def attributes(**named):
    def value(v):
        return {"intValue": str(v)} if isinstance(v, int) else {"doubleValue": v} if isinstance(v, float) else {
            "stringValue": v}
    return [{"key": name.replace("__", "."), "value": value(v)} for name, v in named.items()]


def span(number, **named):
    return {"traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": f"{number:016X}", "name": "chat", "kind": 3,
            "startTimeUnixNano": "1764500000000000000", "endTimeUnixNano": "1764500001000000000",
            "attributes": attributes(**named)}


def traces(*spans, resource=()):
    return {"resourceSpans": [{"resource": {"attributes": list(resource)},
                               "scopeSpans": [{"scope": {"name": "my.library"}, "spans": list(spans)}]}]}


CALL = {"gen_ai__operation__name": "chat", "gen_ai__request__model": "gpt-5", "gen_ai__usage__input_tokens": 100,
        "gen_ai__usage__output_tokens": 20, "gen_ai__input__messages": PROMPT}


@pytest.mark.sanitize
def test_spans_of_model_calls_are_counted_and_answered_as_otlp_wants(vault, customer):
    lease = leased(customer)
    resource = attributes(strongroom__lease_id=lease)
    body = traces(span(1, **CALL), span(2, **CALL, http__response__status_code=429), span(3, http__route="/x"),
                  resource=resource)
    reply = sent(vault, customer.gateway, body, "/v1/otlp/v1/traces")
    assert (reply.status, reply.json) == (200, {})
    assert reply.headers["content-type"] == "application/json"
    record, = usage_of(vault, customer.name)
    assert (record["requests"], record["input_tokens"], record["failures"], record["dropped"]) == (2, 200, 1, 2)
    assert sent(vault, customer.gateway, body, "/v1/otlp/v1/traces").json == {}
    assert sums(vault, customer.name)[0]["requests"] == 2, "an exporter that sends again is not counted again"
    wrong = traces(span(4, **CALL, strongroom__key="no/where"), span(5, **CALL, strongroom__key=customer.path))
    reply = sent(vault, customer.gateway, wrong, "/v1/otlp/v1/traces")
    assert reply.status == 200
    assert reply.json == {"partialSuccess": {"rejectedSpans": "1", "errorMessage": "no grant covers this key"}}
    assert sums(vault, customer.name)[0]["requests"] == 3


def test_log_records_are_counted_too(vault, customer):
    record = {"timeUnixNano": "1764500000000000000", "body": {"stringValue": PROMPT},
              "attributes": attributes(**CALL, strongroom__key=customer.path)}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, {**record, "attributes": attributes(
        **CALL, strongroom__key="no/where")}]}]}]}
    reply = sent(vault, customer.gateway, body, "/v1/otlp/v1/logs")
    assert reply.json == {"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "no grant covers this key"}}
    assert sums(vault, customer.name)[0]["input_tokens"] == 100


def test_protobuf_and_packed_bodies_are_refused_with_what_to_do(vault, customer):
    for header, hint in [("Content-Type: application/x-protobuf", "http/json"), ("Content-Encoding: gzip", "compression")]:
        reply = vault.curl("/v1/otlp/v1/traces", "-H", header, "--data-binary", "\n", who=customer.gateway)
        assert (reply.status, reply.json["title"]) == (415, "unsupported-media")
        assert hint in reply.json["detail"]
    assert sent(vault, customer.gateway, b"{", "/v1/otlp/v1/traces").status == 400


# --- as docs/OPERATIONS.md has it --------------------------------------------------------------------


@pytest.fixture
def proxied(vault, customer):
    """The address of nginx with the documented configuration, in front of the vault."""
    document = (ROOT / "docs/OPERATIONS.md").read_text()
    server = textwrap.dedent(re.search(r"^    server \{\n.*?^    \}\n", document, re.MULTILINE | re.DOTALL).group())
    port, base = free_port(), vault.base / unique("nginx")
    base.mkdir()
    host = vault.url.removeprefix("https://")
    for old, new in [("127.0.0.1:8210", f"127.0.0.1:{port}"), ("vault.example:8443", host),
                     ("ssl_name vault.example", "ssl_name localhost"),
                     ("/etc/litellm/gateway.crt", customer.gateway.certificate),
                     ("/etc/litellm/gateway.key", customer.gateway.key), ("/etc/litellm/vault-ca.crt", vault.ca)]:
        assert old in server, old
        server = server.replace(old, str(new))
    scratch = "\n".join(f"{kind}_temp_path {base}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (base / "nginx.conf").write_text(
        f"daemon off; pid {base}/pid; error_log {base}/error.log; user {pwd.getpwuid(os.getuid()).pw_name};\n"
        f"events {{}}\nhttp {{ access_log off;\n{scratch}\n{server}}}\n")
    nginx = subprocess.Popen(["nginx", "-p", str(base), "-c", str(base / "nginx.conf")], preexec_fn=die_with_parent,
                             stdin=subprocess.DEVNULL)
    await_that("nginx listens", lambda: subprocess.run(["curl", "-s", "-q", f"http://127.0.0.1:{port}/"],
                                                       capture_output=True).returncode == 0)
    yield f"http://127.0.0.1:{port}"
    nginx.terminate()
    nginx.wait()


def test_litellm_reports_through_nginx_as_documented(vault, customer, proxied):
    header = ("-H", f"Strongroom-Key: {customer.path}")
    reply = curl(f"{proxied}/v1/usage/litellm", *header, body=[payload(n) for n in range(21, 121)])
    assert (reply.status, reply.json["counted"]) == (200, 100)
    assert sums(vault, customer.name)[0]["requests"] == 100
    assert curl(f"{proxied}/v1/leases", body={"key": customer.path}).status == 404, "one path only"
