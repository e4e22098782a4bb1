"""CTAPHID: messages in 64-byte reports, channels, keepalive, cancel."""

import secrets
import time
from enum import IntEnum

from port import REPORT

BROADCAST = 0xFFFFFFFF
PROTOCOL_VERSION = 2
DEVICE_VERSION = bytes([1, 0, 0])
CAPABILITIES = 0x04 | 0x08  # CBOR, and no U2F messages

INIT_DATA, MORE_DATA = REPORT - 7, REPORT - 5
MAX_PAYLOAD = INIT_DATA + 128 * MORE_DATA
MESSAGE_TIMEOUT = 0.5  # seconds between the reports of one message

KEEPALIVE_TOUCH_NEEDED = 2


class Command(IntEnum):
    PING = 0x01
    INIT = 0x06
    CBOR = 0x10
    CANCEL = 0x11
    KEEPALIVE = 0x3B
    ERROR = 0x3F


class Error(IntEnum):
    INVALID_COMMAND = 0x01
    INVALID_LENGTH = 0x03
    INVALID_SEQUENCE = 0x04
    MESSAGE_TIMEOUT = 0x05
    CHANNEL_BUSY = 0x06
    INVALID_CHANNEL = 0x0B
    OTHER = 0x7F


class Abandoned(Exception):
    """The client will not read the answer to the command in progress."""


class Message:
    """A message whose reports are still coming in."""

    def __init__(self, channel, command, length, data):
        self.channel = channel
        self.command = command
        self.length = length
        self.data = data[:length]
        self.sequence = 0
        self.deadline = time.monotonic() + MESSAGE_TIMEOUT

    def add(self, data):
        self.data = (self.data + data)[:self.length]
        self.sequence += 1
        self.deadline = time.monotonic() + MESSAGE_TIMEOUT

    def complete(self):
        return len(self.data) == self.length


class Hid:
    """Reports go in by receive(); while serve_cbor() waits for a touch, they still have to, for CANCEL and INIT."""

    def __init__(self, port, serve_cbor, speaks_cbor=True):
        self._port = port
        self._capabilities = CAPABILITIES if speaks_cbor else 0
        self._serve_cbor = serve_cbor
        self._channels = set()
        self._incoming = None
        self._serving = None  # the channel whose CBOR command is in progress
        self._cancelled = False
        self._abandoned = False

    def receive(self, report):
        channel, head, rest = int.from_bytes(report[:4], "big"), report[4], report[5:]
        if head & 0x80:
            self._first_report(channel, head & 0x7F, int.from_bytes(rest[:2], "big"), rest[2:])
        else:
            self._next_report(channel, head, rest)

    def time_left(self):
        """Seconds until tick() has something to do, or None."""
        return max(0, self._incoming.deadline - time.monotonic()) if self._incoming else None

    def tick(self):
        if self._incoming and time.monotonic() >= self._incoming.deadline:
            channel, self._incoming = self._incoming.channel, None
            self._error(channel, Error.MESSAGE_TIMEOUT)

    def power_up(self):
        """Channels do not survive; a client that waits sees a transport error, as after unplugging."""
        self._channels.clear()
        self._incoming = None
        if self._serving is not None:
            self._error(self._serving, Error.OTHER)
            self._abandoned = True

    def check_cancelled(self):
        """For the command in progress: whether the client cancelled it. Raises Abandoned if it is gone."""
        if self._abandoned:
            raise Abandoned
        return self._cancelled

    def keepalive(self):
        if not self._port.crowded():
            self._send(self._serving, Command.KEEPALIVE, bytes([KEEPALIVE_TOUCH_NEEDED]))

    def _first_report(self, channel, command, length, data):
        if command == Command.INIT:
            self._init(channel, length, data)
        elif channel not in self._channels:
            self._error(channel, Error.INVALID_CHANNEL)
        elif command == Command.CANCEL:
            # Never answered itself: the cancelled command is.
            if channel == self._serving:
                self._cancelled = True
        elif self._serving is not None or (self._incoming and self._incoming.channel != channel):
            self._error(channel, Error.CHANNEL_BUSY)
        elif self._incoming:
            self._incoming = None
            self._error(channel, Error.INVALID_SEQUENCE)
        elif length > MAX_PAYLOAD:
            self._error(channel, Error.INVALID_LENGTH)
        else:
            self._incoming = Message(channel, command, length, data)
            self._serve_if_complete()

    def _next_report(self, channel, sequence, data):
        message = self._incoming
        if message is None or channel != message.channel:
            return  # the rest of a message that was already refused
        if sequence != message.sequence:
            self._incoming = None
            self._error(channel, Error.INVALID_SEQUENCE)
            return
        message.add(data)
        self._serve_if_complete()

    def _init(self, channel, length, nonce):
        if length != 8:
            self._error(channel, Error.INVALID_LENGTH)
            return
        if channel == BROADCAST:
            assigned = self._new_channel()
        elif channel in self._channels:
            # The client lost the thread and starts over on its channel.
            assigned = channel
            if self._incoming and self._incoming.channel == channel:
                self._incoming = None
            if self._serving == channel:
                self._abandoned = True
        else:
            self._error(channel, Error.INVALID_CHANNEL)
            return
        self._send(channel, Command.INIT, nonce[:8] + assigned.to_bytes(4, "big")
                   + bytes([PROTOCOL_VERSION]) + DEVICE_VERSION + bytes([self._capabilities]))

    def _new_channel(self):
        while True:
            channel = secrets.randbelow(BROADCAST)
            if channel != 0 and channel not in self._channels:
                self._channels.add(channel)
                return channel

    def _serve_if_complete(self):
        if not self._incoming.complete():
            return
        message, self._incoming = self._incoming, None
        if message.command == Command.PING:
            self._send(message.channel, Command.PING, message.data)
        elif message.command != Command.CBOR or not self._capabilities:
            self._error(message.channel, Error.INVALID_COMMAND)
        elif not message.data:
            self._error(message.channel, Error.INVALID_LENGTH)
        else:
            self._serve(message)

    def _serve(self, message):
        self._serving, self._cancelled, self._abandoned = message.channel, False, False
        try:
            self._send(message.channel, Command.CBOR, self._serve_cbor(message.data))
        except Abandoned:
            pass
        finally:
            self._serving = None

    def _error(self, channel, error):
        self._send(channel, Command.ERROR, bytes([error]))

    def _send(self, channel, command, payload):
        address = channel.to_bytes(4, "big")
        self._port.send((address + bytes([0x80 | command]) + len(payload).to_bytes(2, "big")
                         + payload[:INIT_DATA]).ljust(REPORT, b"\0"))
        for sequence, start in enumerate(range(INIT_DATA, len(payload), MORE_DATA)):
            self._port.send((address + bytes([sequence]) + payload[start:start + MORE_DATA]).ljust(REPORT, b"\0"))
