"""What one client may take of the vault: rates, queues, connections; and what that does to others."""

import threading

import pytest
from harness import Vault

FLOODERS = 24  # connections that send as fast as they can


def issue(client, customer):
    return client("POST", "/v1/leases", {"key": customer.path})


def test_a_gateway_faster_than_its_rate_hears_when_to_come_again_and_it_is_in_the_trail(new_vault):
    vault = new_vault(gateway_rate=3)
    fast, calm = vault.customer(), vault.customer()
    client = vault.client(fast.gateway)
    replies = [issue(client, fast) for _ in range(30)]
    refused = [reply for reply in replies if reply.status == 429]
    assert replies[0].status == 201 and refused
    assert refused[0].json["title"] == "limit" and "rate" in refused[0].json["detail"]
    assert {int(reply.headers["retry-after"]) for reply in refused} == {1}
    assert vault.await_record("vault", type="lease.refused", code="limit")["actor"] == f"gateway:{fast.gateway.name}"
    assert issue(vault.client(calm.gateway), calm).status == 201


def test_a_tenants_rate_is_its_own(new_vault):
    vault = new_vault(tenant_rate=3)
    busy, calm = vault.customer(), vault.customer()
    client = vault.client(busy.gateway)
    assert 429 in [issue(client, busy).status for _ in range(30)]
    assert issue(vault.client(calm.gateway), calm).status == 201


@pytest.mark.sanitize
@pytest.mark.tsan
def test_a_flood_of_one_gateway_is_refused_where_its_queue_ends_and_nobody_else_is(new_vault):
    vault = new_vault(queue_per_client=4)
    flooder, calm = vault.customer(), vault.customer()
    over, statuses = threading.Event(), []

    def flood():
        client = vault.client(flooder.gateway)
        while not over.is_set():
            statuses.append(issue(client, flooder).status)
        client.close()

    threads = [threading.Thread(target=flood) for _ in range(FLOODERS)]
    for thread in threads:
        thread.start()
    client = vault.client(calm.gateway)
    answers = [issue(client, calm).status for _ in range(50)]
    while 429 not in statuses or 201 not in statuses:
        answers.append(issue(client, calm).status)
    over.set()
    for thread in threads:
        thread.join()
    assert set(answers) == {201}
    assert set(statuses) == {201, 429}
    # What was only counted is written when its minute is over, or when the vault locks.
    vault.lock()
    vault.unlock()
    records = [record for _, record in vault.records("vault") if record["type"].endswith("refused")]
    mine = [record for record in records if record["actor"] == f"gateway:{flooder.gateway.name}"]
    assert len(mine) - sum("count" in record for record in mine) <= 20
    assert sum(record.get("count", 1) for record in mine) == statuses.count(429)
    assert sum(record["type"] == "lease.issued" for _, record in vault.records(flooder.name)) == statuses.count(201)
