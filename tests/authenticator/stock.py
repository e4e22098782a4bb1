"""For the tests: the stock FIDO2 tools and library, a bare CTAPHID client, and the authenticator as a process."""

import base64
import ctypes
import fcntl
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from contextlib import contextmanager

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 20  # seconds after which something that should happen counts as never

RP = "vault.example"


# The authenticator

class Process:
    def __init__(self, directory, *options, state="state.json"):
        self.directory = str(directory)
        self.state = os.path.join(self.directory, state)
        self.control_path = os.path.join(self.directory, "control")
        self._lines = b""
        self._process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "authenticator"),
             "--state", self.state, "--control", self.control_path, *options],
            stdout=subprocess.PIPE)
        self.pid = self._process.pid
        self.path = self.line()

    def line(self):
        """The next line it prints."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._lines:
            if not select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError("the authenticator printed nothing")
            data = os.read(self._process.stdout.fileno(), 4096)
            if not data:
                raise AssertionError("the authenticator ended")
            self._lines += data
        line, self._lines = self._lines.split(b"\n", 1)
        return line.decode()

    def forget(self):
        """Drops the lines that nobody read."""
        while select.select([self._process.stdout], [], [], 0)[0] and os.read(self._process.stdout.fileno(), 4096):
            pass
        self._lines = b""

    def control(self, text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.bind("")  # the kernel picks an abstract name, so that the answer finds its way back
            sender.settimeout(PATIENCE)
            sender.sendto(text.encode(), self.control_path)
            return sender.recv(4096).decode()

    def stop(self, number=signal.SIGTERM):
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(PATIENCE)
        self._process.stdout.close()
        return self._process.returncode


# The tools

def tool(*command, stdin="", pins=()):
    """Run a stock tool, typing one of the PINs at each prompt of its terminal. Returns the finished process."""
    terminal, slave = os.openpty()  # the slave stays open, or the tool would be hung up between two prompts
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0))
    process.stdin.write(stdin.encode())
    process.stdin.close()
    pins, prompt, output = list(pins), b"", b""
    while True:
        ready = select.select([terminal, process.stdout], [], [], PATIENCE)[0]
        assert ready, f"{command} hangs after {prompt}{output}"
        if terminal in ready:
            prompt += os.read(terminal, 4096)
            if prompt.endswith(b": "):
                os.write(terminal, pins.pop(0).encode() + b"\n")
                prompt = b""
        else:
            data = os.read(process.stdout.fileno(), 4096)
            if not data:
                break
            output += data
    process.stdout.close()
    process.wait(PATIENCE)
    os.close(slave)
    os.close(terminal)
    output = output.decode()
    assert not pins, f"{command} did not ask for {pins}; it said: {output}"
    return subprocess.CompletedProcess(command, process.returncode, output)


def base64_lines(*values):
    return "".join((base64.b64encode(v).decode() if isinstance(v, bytes) else v) + "\n" for v in values)


# The library

library = ctypes.CDLL("libfido2.so.1")
DISABLE_U2F_FALLBACK = 0x02
HMAC_SECRET, CRED_PROTECT = 0x01, 0x02
NO, YES = 1, 2
ES256 = -7
UP, UV = 0x01, 0x04

CREDENTIAL_EXCLUDED = 0x19
OPERATION_DENIED = 0x27
UNSUPPORTED_OPTION = 0x2B
KEEPALIVE_CANCEL = 0x2D
NO_CREDENTIALS = 0x2E
USER_ACTION_TIMEOUT = 0x2F
NOT_ALLOWED = 0x30
PIN_INVALID = 0x31
PIN_BLOCKED = 0x32
PIN_AUTH_INVALID = 0x33
PIN_AUTH_BLOCKED = 0x34
PIN_NOT_SET = 0x35
PIN_REQUIRED = 0x36
PIN_POLICY_VIOLATION = 0x37
UNAUTHORIZED_PERMISSION = 0x40
RX_ERROR = -2

library.fido_init(DISABLE_U2F_FALLBACK)


class FidoError(Exception):
    def __init__(self, code):
        super().__init__(hex(code))
        self.code = code


def function(name, result, *arguments):
    found = getattr(library, name)
    found.restype, found.argtypes = result, list(arguments)
    return found


def checked(name, *arguments):
    """A library function that returns a status; raises FidoError."""
    found = function(name, ctypes.c_int, *(kind(a) for a in arguments))

    def call():
        code = found(*arguments)
        if code != 0:
            raise FidoError(code)
    return call()


def kind(argument):
    if isinstance(argument, Size):
        return ctypes.c_size_t
    if isinstance(argument, int):
        return ctypes.c_int
    if isinstance(argument, (bytes, type(None))):
        return ctypes.c_char_p
    return type(argument)


class Size(int):
    pass


def pointer(name, *arguments):
    return ctypes.c_void_p(function(name, ctypes.c_void_p, *(kind(a) for a in arguments))(*arguments))


def number(name, *arguments, result=ctypes.c_size_t):
    return function(name, result, *(kind(a) for a in arguments))(*arguments)


def blob(name, *arguments):
    length = number(name + "_len", *arguments)
    return ctypes.string_at(pointer(name + "_ptr", *arguments), length) if length else b""


def text(value):
    return value.encode() if value is not None else None


class Device:
    def __init__(self, path):
        self.handle = pointer("fido_dev_new")
        checked("fido_dev_open", self.handle, text(path))

    def close(self):
        function("fido_dev_close", ctypes.c_int, ctypes.c_void_p)(self.handle)
        function("fido_dev_free", None, ctypes.c_void_p)(ctypes.byref(self.handle))

    def is_fido2(self):
        return number("fido_dev_is_fido2", self.handle, result=ctypes.c_bool)

    def retries(self):
        retries = ctypes.c_int()
        function("fido_dev_get_retry_count", ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(
            self.handle, ctypes.byref(retries))
        return retries.value

    def set_pin(self, new, old=None):
        checked("fido_dev_set_pin", self.handle, text(new), text(old))

    def reset(self):
        checked("fido_dev_reset", self.handle)

    def cancel(self):
        checked("fido_dev_cancel", self.handle)

    def begin_selection(self):
        checked("fido_dev_get_touch_begin", self.handle)

    def selected(self, milliseconds):
        touched = ctypes.c_int()
        code = function("fido_dev_get_touch_status", ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)(
            self.handle, ctypes.byref(touched), milliseconds)
        if code:
            raise FidoError(code)
        return bool(touched.value)

    def make(self, pin=None, rp=RP, user=None, protect=None, resident=False, exclude=(), hmac=True):
        credential = pointer("fido_cred_new")
        try:
            checked("fido_cred_set_type", credential, ES256)
            checked("fido_cred_set_clientdata_hash", credential, secrets.token_bytes(32), Size(32))
            checked("fido_cred_set_rp", credential, text(rp), b"Vault")
            user = user or secrets.token_bytes(16)
            checked("fido_cred_set_user", credential, user, Size(len(user)), b"someone", None, None)
            checked("fido_cred_set_extensions", credential,
                    (HMAC_SECRET if hmac else 0) | (CRED_PROTECT if protect else 0))
            if protect:
                checked("fido_cred_set_prot", credential, protect)
            if resident:
                checked("fido_cred_set_rk", credential, YES)
            if pin is not None:
                checked("fido_cred_set_uv", credential, YES)
            for id in exclude:
                checked("fido_cred_exclude", credential, id, Size(len(id)))
            checked("fido_dev_make_cred", self.handle, credential, text(pin))
            checked("fido_cred_verify_self", credential)
            return Made(credential)
        finally:
            function("fido_cred_free", None, ctypes.c_void_p)(ctypes.byref(credential))

    def get(self, *ids, pin=None, rp=RP, salt=None, up=True):
        assertion = pointer("fido_assert_new")
        try:
            checked("fido_assert_set_clientdata_hash", assertion, secrets.token_bytes(32), Size(32))
            checked("fido_assert_set_rp", assertion, text(rp))
            for id in ids:
                checked("fido_assert_allow_cred", assertion, id, Size(len(id)))
            if salt is not None:
                checked("fido_assert_set_extensions", assertion, HMAC_SECRET)
                checked("fido_assert_set_hmac_salt", assertion, salt, Size(len(salt)))
            if not up:
                checked("fido_assert_set_up", assertion, NO)
            if pin is not None:
                checked("fido_assert_set_uv", assertion, YES)
            checked("fido_dev_get_assert", self.handle, assertion, text(pin))
            return [Got(assertion, Size(i)) for i in range(number("fido_assert_count", assertion))]
        except BaseException:
            function("fido_assert_free", None, ctypes.c_void_p)(ctypes.byref(assertion))
            raise


class Made:
    def __init__(self, credential):
        self.id = blob("fido_cred_id", credential)
        self.public_key = blob("fido_cred_pubkey", credential)
        self.flags = number("fido_cred_flags", credential, result=ctypes.c_uint8)
        self.protect = number("fido_cred_prot", credential, result=ctypes.c_int)
        self.format = function("fido_cred_fmt", ctypes.c_char_p, ctypes.c_void_p)(credential).decode()


class Got:
    def __init__(self, assertion, index):
        self._assertion, self._index = assertion, index
        self.id = blob("fido_assert_id", assertion, index)
        self.secret = blob("fido_assert_hmac_secret", assertion, index)
        self.user = blob("fido_assert_user_id", assertion, index)
        self.user_name = function("fido_assert_user_name", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)(
            assertion, index)
        self.flags = number("fido_assert_flags", assertion, index, result=ctypes.c_uint8)
        self.counter = number("fido_assert_sigcount", assertion, index, result=ctypes.c_uint32)

    def verify(self, public_key):
        key = pointer("es256_pk_new")
        try:
            checked("es256_pk_from_ptr", key, public_key, Size(len(public_key)))
            checked("fido_assert_verify", self._assertion, self._index, ES256, key)
        finally:
            function("es256_pk_free", None, ctypes.c_void_p)(ctypes.byref(key))


@contextmanager
def device(path):
    opened = Device(path)
    try:
        yield opened
    finally:
        opened.close()


# A bare CTAPHID client, for what the library never sends

class Hid:
    BROADCAST = b"\xff\xff\xff\xff"
    PING, INIT, CBOR, CANCEL, KEEPALIVE, ERROR = 0x81, 0x86, 0x90, 0x91, 0xBB, 0xBF

    def __init__(self, path, channel=None):
        self.file = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self.channel = channel or self.init(self.BROADCAST)[8:12]

    def close(self):
        os.close(self.file)

    def write(self, report):
        os.write(self.file, b"\0" + report.ljust(64, b"\0"))

    def read(self, seconds=PATIENCE):
        if not select.select([self.file], [], [], seconds)[0]:
            return None
        return os.read(self.file, 64)

    def send(self, command, payload=b"", channel=None):
        channel = channel or self.channel
        self.write(channel + bytes([command]) + len(payload).to_bytes(2, "big") + payload[:57])
        for sequence, start in enumerate(range(57, len(payload), 59)):
            self.write(channel + bytes([sequence]) + payload[start:start + 59])

    def reply(self):
        """Command and payload of the next message that comes in."""
        report = self.read()
        assert report is not None, "no answer"
        command, length, payload = report[4], int.from_bytes(report[5:7], "big"), report[7:]
        while len(payload) < length:
            payload += self.read()[5:]
        return command, payload[:length]

    def ask(self, command, payload=b"", channel=None):
        self.send(command, payload, channel)
        return self.reply()

    def init(self, channel):
        nonce = secrets.token_bytes(8)
        command, payload = self.ask(self.INIT, nonce, channel)
        assert command == self.INIT and payload[:8] == nonce
        return payload


@contextmanager
def hid(path):
    opened = Hid(path)
    try:
        yield opened
    finally:
        opened.close()
