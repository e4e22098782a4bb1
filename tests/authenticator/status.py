"""CTAP status codes, and the exception that carries one to the client."""

from enum import IntEnum


class Status(IntEnum):
    OK = 0x00
    INVALID_COMMAND = 0x01
    INVALID_PARAMETER = 0x02
    INVALID_LENGTH = 0x03
    CHANNEL_BUSY = 0x06
    CBOR_UNEXPECTED_TYPE = 0x11
    INVALID_CBOR = 0x12
    MISSING_PARAMETER = 0x14
    LIMIT_EXCEEDED = 0x15
    CREDENTIAL_EXCLUDED = 0x19
    UNSUPPORTED_ALGORITHM = 0x26
    OPERATION_DENIED = 0x27
    KEY_STORE_FULL = 0x28
    UNSUPPORTED_OPTION = 0x2B
    INVALID_OPTION = 0x2C
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
    REQUEST_TOO_LARGE = 0x39
    UP_REQUIRED = 0x3B
    UV_BLOCKED = 0x3C
    INVALID_SUBCOMMAND = 0x3E
    UV_INVALID = 0x3F
    UNAUTHORIZED_PERMISSION = 0x40


class CtapError(Exception):
    def __init__(self, status):
        super().__init__(status.name)
        self.status = status


def take(parameters, key, kind, default=None, required=False):
    """One parameter of a request, checked for its type."""
    value = parameters.get(key)
    if value is None:
        if required:
            raise CtapError(Status.MISSING_PARAMETER)
        return default
    # bool is a subclass of int in Python, but not in CBOR.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CtapError(Status.CBOR_UNEXPECTED_TYPE)
    return value


def need(parameters, key, kind):
    return take(parameters, key, kind, required=True)
