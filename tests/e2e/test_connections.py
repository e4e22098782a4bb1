"""Clients that are slow, broken or many: they lose their place, and nobody else notices."""

import contextlib
import os
import signal
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import SLOW, Vault, await_that

HOST = b"Host: vault\r\n"
STATUS = b"GET /v1/status HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /v1/leases HTTP/1.1\r\n" + HOST
IDLE = 3  # seconds, the least that the setting takes: a first request has one, a later one three


def dial(vault):
    sock = socket.create_connection(("127.0.0.1", vault.port))
    sock.settimeout(30 * SLOW)
    return sock


def connect(vault, who=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(vault.ca)
    if who:
        context.load_cert_chain(who.certificate, who.key)
    return context.wrap_socket(dial(vault), server_hostname="127.0.0.1")


def hear(sock):
    """All that comes until the other end closes."""
    data = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while True:
            piece = sock.recv(65536)
            if not piece:
                break
            data += piece
    sock.close()
    return data


def hear_answer(sock):
    """One answer with a body of known length: (status, body)."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += sock.recv(65536)
    return int(head.split()[1]), body


def drip(sock, data, pause=0.1):
    """Sends byte by byte until the other end has had enough. False: it never had."""
    sock.settimeout(pause)
    for i in range(300 * SLOW):
        try:
            sock.send(data[i % len(data):i % len(data) + 1])
            if not sock.recv(65536):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.fixture(scope="module")
def strict():
    vault = Vault.opened(http_idle_s=IDLE)
    yield vault
    vault.close()


@pytest.fixture(scope="module")
def customer(strict):
    return strict.customer()


# --- slow ------------------------------------------------------------------------------------------


def slow_head(vault, who):
    return drip(connect(vault, who), b"GET /v1/status HTTP/1.1\r\n" + b"X: y\r\n" * 100)


def slow_later_head(vault, who):
    sock = connect(vault, who)
    sock.sendall(STATUS)
    assert hear_answer(sock)[0] == 200
    return drip(sock, b"GET /v1/status HTTP/1.1\r\n" + b"X: y\r\n" * 100)


def slow_handshake(vault, _):
    return drip(dial(vault), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))


def slow_body(vault, who):
    sock = connect(vault, who)
    sock.sendall(POST + b"Content-Length: 60000\r\n\r\n")
    return drip(sock, b" ")


def silent(vault, _):
    return dial(vault).recv(1) == b""


def silent_after_the_handshake(vault, who):
    return hear(connect(vault, who)) == b""


@pytest.mark.sanitize
@pytest.mark.tsan
def test_whoever_takes_for_ever_loses_its_place(strict, customer):
    ways = [slow_head, slow_later_head, slow_handshake, slow_body, silent, silent_after_the_handshake]
    with ThreadPoolExecutor(len(ways)) as pool:
        lost = list(pool.map(lambda way: way(strict, customer.gateway), ways))
    assert dict(zip(ways, lost)) == dict.fromkeys(ways, True)


def test_a_body_that_never_ends_is_cut(strict, customer):
    sock = connect(strict, customer.gateway)
    sock.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with pytest.raises(OSError):
        for _ in range(1000):
            sock.sendall(chunk)
    assert customer.lease().status == 201


def test_a_client_that_does_not_take_its_answer_loses_its_place(strict, customer):
    for _ in range(20):
        customer.leased()
    sock = connect(strict, strict.operator)
    ask = b"GET /v1/logs/vault/records?limit=1000 HTTP/1.1\r\n" + HOST + b"\r\n"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with contextlib.suppress(TimeoutError):
        sock.settimeout(0.2)
        while True:
            sock.sendall(ask * 20)  # without ever reading
    sock.settimeout(30 * SLOW)

    def gone():
        with contextlib.suppress(TimeoutError, BlockingIOError):
            try:
                sock.settimeout(0.01)
                sock.sendall(ask)
            except (TimeoutError, BlockingIOError):
                raise
            except OSError:
                return True
        return False
    await_that("the connection is closed", gone)


def test_hundreds_who_stand_still_delay_nobody_and_are_gone_soon(strict, customer):
    still = []
    for i in range(300):
        sock = dial(strict)
        if i % 2:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
        still.append(sock)
    for _ in range(20):
        customer.leased()
    for sock in still:
        assert sock.recv(1) == b""
        sock.close()


# --- many ------------------------------------------------------------------------------------------


def test_hundreds_of_connections_at_once_are_all_served(strict, customer):
    vault, clients = strict, []
    for _ in range(200):
        client = vault.client(customer.gateway)
        assert client("POST", "/v1/leases", {"key": customer.path}).status == 201
        clients.append(client)
    # None was closed to make room for another one, except by its own idleness.
    assert sum(client("GET", "/v1/status").status == 200 for client in clients[-50:]) == 50
    for client in clients:
        client.close()


def test_a_full_house_takes_the_next_one_when_somebody_leaves_and_the_local_socket_stays_open(new_vault):
    vault = new_vault(http_connections=16, http_threads=1)
    vault.drop_connections()
    inside = [connect(vault, vault.operator) for _ in range(16)]
    for sock in inside:
        sock.sendall(STATUS)
        assert hear_answer(sock)[0] == 200
    outside = dial(vault)
    outside.settimeout(0.3)
    with pytest.raises(TimeoutError):  # nobody greets it
        ssl._create_unverified_context().wrap_socket(outside)
    assert vault.local("GET", "/v1/status").status == 200
    for sock in inside:
        sock.close()
    assert await_that("there is room again", lambda: vault.call("GET", "/v1/status").status == 200)


def test_a_full_house_that_is_left_by_all_at_once_takes_the_next_one(new_vault):
    vault = new_vault(http_connections=16, http_threads=1)
    vault.drop_connections()
    server = vault.processes()["server"]
    inside = [connect(vault, vault.operator) for _ in range(16)]
    for sock in inside:
        sock.sendall(STATUS)
        assert hear_answer(sock)[0] == 200
    os.kill(server, signal.SIGSTOP)
    for sock in inside:
        sock.close()
    os.kill(server, signal.SIGCONT)
    time.sleep(0.3)  # it has seen that they are gone, and sleeps
    sock = connect(vault, vault.operator)
    sock.sendall(STATUS)
    assert hear_answer(sock)[0] == 200
    sock.close()


def test_an_address_has_no_more_connections_than_it_may(new_vault):
    vault = new_vault(http_connections_per_address=5)
    vault.drop_connections()
    inside = []

    def enter():
        with contextlib.suppress(OSError):
            inside.append(connect(vault, vault.operator))
        return len(inside) == 5
    await_that("five are inside", enter)
    with pytest.raises(OSError):
        connect(vault, vault.operator)
    for sock in inside:
        sock.sendall(STATUS)
        assert hear_answer(sock)[0] == 200
        sock.close()


def test_with_too_few_open_files_it_serves_fewer_connections_and_says_so(new_vault):
    vault = new_vault()
    assert vault.stop()
    vault.launcher = ["prlimit", "--nofile=256:256", "setpriv", "--bounding-set=-sys_resource"]
    vault.start()
    said = [line for line in vault.log_lines() if "LimitNOFILE" in line["event"]]
    assert [line["connections"] for line in said] == [192]
    vault.unlock()
    found = vault.call("GET", "/metrics").text
    assert "strongroom_connections_limit 192\n" in found


def records(vault, who, requests):
    """A connection, and one TLS record for each of the requests."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(vault.ca)
    context.load_cert_chain(who.certificate, who.key)
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    sock = dial(vault)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def step(act):
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))

    step(tls.do_handshake)
    sock.sendall(outgoing.read())
    made = []
    for request in requests:
        tls.write(request)
        made.append(outgoing.read())

    class Reader:
        @staticmethod
        def recv(n):
            return step(lambda: tls.read(n))
    return sock, made, Reader


LEASE = b'{"key":"%s"}'


def lease_request(customer):
    body = LEASE % customer.path.encode()
    return POST + b"Content-Length: %d\r\n\r\n" % len(body) + body


def hear_answers(reader, count):
    """The states of so many answers; a read ends with a record, hence no later than with an answer."""
    data, states = b"", []
    while len(states) < count:
        head, end, rest = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) if end else 0
        if end and len(rest) >= length:
            states.append(int(head.split()[1]))
            data = rest[length:]
        else:
            data += reader.recv(65536)
    assert data == b""
    return states


@pytest.mark.tsan
def test_requests_that_come_in_one_piece_are_all_answered(strict, customer):
    """Also the last of them, which is read while the first is still with the engine."""
    for count in (2, 7, 40):
        sock, made, reader = records(strict, customer.gateway, [STATUS, lease_request(customer)] * count)
        sock.sendall(b"".join(made))
        assert hear_answers(reader, 2 * count) == [200, 201] * count
        sock.close()


def test_a_request_that_comes_before_the_answer_to_the_last_one_is_answered(strict, customer):
    sock, made, reader = records(strict, customer.gateway, [lease_request(customer)] * 100)
    sock.sendall(made[0])
    for record in made[1:]:
        sock.sendall(record)
        assert hear_answers(reader, 1) == [201]
    assert hear_answers(reader, 1) == [201]
    sock.close()


def test_a_record_may_come_in_any_two_pieces(strict, customer):
    sock, made, reader = records(strict, customer.gateway, [STATUS] * 60)
    for at, record in enumerate(made):
        sock.sendall(record[:at + 1])
        time.sleep(0.003)
        sock.sendall(record[at + 1:])
        assert hear_answers(reader, 1) == [200]
    sock.close()


# --- odd -------------------------------------------------------------------------------------------


def test_requests_in_one_piece_are_answered_in_their_order(strict, customer):
    sock = connect(strict, customer.gateway)
    sock.sendall(STATUS + STATUS.replace(b"status", b"nothing") + STATUS[:-2] + b"Connection: close\r\n\r\n")
    said = hear(sock)
    assert [part.split()[0] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


TWO_READINGS = {
    "length and encoding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "encoding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nabcde",
    "two equal lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": b"GET /v1/status HTTP/1.1\r\n" + HOST + b"Host: other\r\n\r\n",
    "two encodings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "an unknown encoding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "an encoding of two": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 5\r\n\r\nabcde",
    "another one": POST + b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
}


@pytest.mark.sanitize
@pytest.mark.parametrize("shape", TWO_READINGS)
def test_a_head_with_two_readings_is_refused_and_what_follows_is_no_request(strict, customer, shape):
    sock = connect(strict, customer.gateway)
    sock.sendall(TWO_READINGS[shape] + STATUS)
    said = hear(sock)
    assert said.startswith(b"HTTP/1.1 400 ") and said.count(b"HTTP/1.1 ") == 1, said
    assert b'"title":"bad-input"' in said and b'"request_id":"' in said


@pytest.mark.parametrize("value", [b"+5", b"-5", b"5, 5", b"0x5", b"5 5", b"99999999999999999999999"])
def test_a_length_that_is_no_number_ends_the_connection(strict, customer, value):
    sock = connect(strict, customer.gateway)
    sock.sendall(POST + b"Content-Length: " + value + b"\r\n\r\nabcde" + STATUS)
    said = hear(sock)
    assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ")) and b"unlocked" not in said


@pytest.mark.sanitize
@pytest.mark.parametrize("request_", [
    b"GET /v1/status HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 60000 + b"\r\n\r\n",
    b"GET /v1/status HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 6000 + b"\r\n",
    b"GET /v1/" + b"y" * 60000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
], ids=["one header", "many headers", "a path"])
def test_a_head_that_is_too_large_ends_the_connection(strict, customer, request_):
    sock = connect(strict, customer.gateway)
    with contextlib.suppress(OSError):
        sock.sendall(request_ + STATUS)
    assert b"unlocked" not in hear(sock)
    assert strict.call("GET", "/v1/status").status == 200


def test_a_head_of_twelve_kib_is_fine(strict, customer):
    sock = connect(strict, customer.gateway)
    sock.sendall(STATUS[:-2] + b"X: " + b"y" * (12 * 1024 - len(STATUS) - 5) + b"\r\n\r\n")
    assert hear_answer(sock)[0] == 200


@pytest.mark.parametrize("path", ["/v1%2Fstatus", "%2Fv1%2Fstatus", "/v1/status%00", "/v1/status%00/x", "/v1/tenants%2facme",
                                  "/v1/tenants/a%2Fkeys", "//v1/status", "/v1/./status", "/v1/../v1/status"])
def test_a_path_has_one_spelling(strict, path):
    reply = strict.call("GET", path)
    assert (reply.status, reply.json["title"]) == (404, "not-found")


def test_who_breaks_off_in_the_middle_leaves_nothing_behind(strict, customer):
    auditor = strict.certify("auditor", "counter")

    def connections():
        text = strict.call("GET", "/metrics", who=auditor).text
        return int(text.split("\nstrongroom_connections ")[1].split("\n")[0])
    strict.drop_connections()
    before = await_that("a quiet moment", lambda: connections() == 1)
    for part in (b"GET /v1/st", POST + b"Content-Length: 100\r\n\r\n{", STATUS):
        for _ in range(10):
            sock = connect(strict, customer.gateway)
            sock.sendall(part)
            # A reset instead of an orderly end.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            sock.close()
    await_that("their places are free", lambda: connections() == before)
