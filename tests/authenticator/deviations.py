"""Keys that differ: each deviation replaces single steps of the authenticator, and several can be combined.

A deviation is a class whose docstring is its line in --help; its name is the class name in lower case with hyphens.
It may take a value, which is then self.values[its name].
"""

import re
import secrets
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ctap2 import ES256, FLAG_UP, FLAG_UV, PROTECT_NOTHING, Authenticator, Credential, decode_parameters
from ctaphid import Abandoned
from pin import ClientPin
from status import CtapError, Status

SILENCE = "silence"


def kind(request):
    """What a request asks for, in the words of --answer."""
    parameters = decode_parameters(request[1:])
    if request[0] == 0x02:
        options = parameters.get(5, {})
        return "probe" if isinstance(options, dict) and options.get("up") is False else "get"
    if request[0] == 0x06:
        return {1: "retries", 2: "agree", 3: "set-pin", 4: "change-pin", 5: "token", 6: "finger",
                7: "finger-retries", 9: "token"}.get(parameters.get(2))
    return {0x01: "make", 0x04: "info", 0x07: "reset", 0x08: "next", 0x0B: "select"}.get(request[0])


KINDS = ["make", "get", "probe", "next", "info", "retries", "agree", "token", "finger", "finger-retries", "select",
         "reset", "set-pin", "change-pin"]


class Answer:
    """answer=KIND:STATUS[:COUNT]: a status, or "silence", instead of the answer to such requests."""

    def handle(self, request):
        for plan in self.values["answer"]:
            if plan[2] > 0 and request and request[0] in range(12) and kind(request) == plan[0]:
                plan[2] -= 1
                if plan[1] == SILENCE:
                    raise Abandoned
                return bytes([plan[1]])
        return super().handle(request)

    @staticmethod
    def parse(text):
        asked, status, *count = text.split(":")
        if asked not in KINDS:
            raise ValueError(text)
        return [asked, SILENCE if status == SILENCE else int(status, 0), int(count[0]) if count else 1 << 30]


class BusyAfterCancel:
    """busy-after-cancel=COUNT: that many requests after a cancelled one are answered with "busy"."""

    _busy = 0

    def handle(self, request):
        if self._busy > 0:
            self._busy -= 1
            return bytes([Status.CHANNEL_BUSY])
        answer = super().handle(request)
        if answer[0] == Status.KEEPALIVE_CANCEL:
            self._busy = int(self.values["busy-after-cancel"][-1])
        return answer


# What it says about itself

class NoHmac:
    """does not list hmac-secret"""

    def info(self):
        return {**super().info(), 0x02: ["credProtect"]}


class NoProtect:
    """does not list credProtect, and ignores it"""

    def info(self):
        return {**super().info(), 0x02: ["hmac-secret"]}

    def granted_protection(self, asked):
        return PROTECT_NOTHING, None


class NoEs256:
    """lists only another algorithm"""

    def info(self):
        return {**super().info(), 0x0A: [{"alg": -8, "type": "public-key"}]}


class NewPinRequired:
    """wants its PIN changed"""

    def info(self):
        return {**super().info(), 0x0C: True}


class Terse:
    """tells only what CTAP 2.0 demands: no algorithms, no limits"""

    def info(self):
        return {key: value for key, value in super().info().items() if key <= 0x06}


class Unordered:
    """its options are not in canonical order, so the stock library cannot read what it says"""

    def handle(self, request):
        answer = super().handle(request)
        if request[:1] == b"\x04":
            rk, up = b"\x62rk\xf5", b"\x62up\xf5"
            assert rk + up in answer
            answer = answer.replace(rk + up, up + rk)
        return answer


class AlwaysUv:
    """alwaysUv: answers nobody without verification, not even silently"""

    def info(self):
        info = super().info()
        return {**info, 0x04: {**info[0x04], "alwaysUv": True}}

    def _verify_user(self, proof, *rest):
        if proof is None:
            raise CtapError(Status.PIN_REQUIRED)
        return super()._verify_user(proof, *rest)


class StrictOptions:
    """does not list rk, and refuses it"""

    def info(self):
        info = super().info()
        return {**info, 0x04: {key: value for key, value in info[0x04].items() if key != "rk"}}

    def handle(self, request):
        if request[:1] == b"\x01" and "rk" in decode_parameters(request[1:]).get(7, {}):
            return bytes([Status.UNSUPPORTED_OPTION])
        return super().handle(request)


# credProtect

class IgnoreProtect:
    """lists credProtect, and ignores it"""

    def granted_protection(self, asked):
        return PROTECT_NOTHING, None


class OwnProtect:
    """own-protect=LEVEL: gives each credential this level, asked or not, and says so"""

    def granted_protection(self, asked):
        level = int(self.values["own-protect"][-1])
        return level, level


# Enrolment

class FormatNone:
    """gives no attestation"""

    def attest(self, credential, message):
        return "none", {}


class Certificate:
    """signs its attestation with a certificate"""

    def attest(self, credential, message):
        key = ec.generate_private_key(ec.SECP256R1())
        return "packed", {"alg": ES256, "sig": key.sign(message, ec.ECDSA(hashes.SHA256())), "x5c": [certificate(key)]}


class ForgedCertificate:
    """attests with a certificate whose key did not sign"""

    def attest(self, credential, message):
        return "packed", {"alg": ES256, "sig": self.sign(credential, message),
                          "x5c": [certificate(ec.generate_private_key(ec.SECP256R1()))]}


def certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test key")])
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2100, 1, 1))
            .sign(key, hashes.SHA256()))
    return made.public_bytes(Encoding.DER)


# Answers

class _Flags:
    REMOVED = 0

    def authenticator_data(self, rp_id, flags, *rest):
        return super().authenticator_data(rp_id, flags & ~self.REMOVED, *rest)


class NoUvFlag(_Flags):
    """does not say that the user was verified"""
    REMOVED = FLAG_UV


class NoUpFlag(_Flags):
    """does not say that the user was present"""
    REMOVED = FLAG_UP


class OtherRp:
    """answers for another relying party"""

    def authenticator_data(self, rp_id, *rest):
        return super().authenticator_data("other.example", *rest)


class BadSignature:
    """signs something else"""

    def sign(self, credential, message):
        return super().sign(credential, message + b"!")


class NoSecret:
    """leaves hmac-secret out of its answer"""

    def hmac_output(self, *_):
        return None


class ShortSecret:
    """gives one secret for two salts"""

    def hmac_output(self, *arguments):
        return super().hmac_output(*arguments)[:32]


class OtherSecret:
    """gives the secret of a user who was not verified, and says so"""

    def hmac_output(self, credential, uv, salts):
        return super().hmac_output(credential, False, salts)

    def authenticator_data(self, rp_id, flags, *rest):
        return super().authenticator_data(rp_id, flags & ~FLAG_UV, *rest)


class IgnoreUv:
    """an old key with a finger reader: takes the uv option, ignores it, and gives the other secret"""

    def info(self):
        info = super().info()
        options = {key: value for key, value in info[0x04].items() if key != "pinUvAuthToken"}
        return {**info, 0x01: ["FIDO_2_0"], 0x04: {**options, "uv": True}, 0x06: [1]}

    def _verify_user(self, proof, protocol, client_data_hash, options, *rest):
        if proof is None:
            return 0
        return super()._verify_user(proof, protocol, client_data_hash, options, *rest)

    def _has_pin(self):
        return False  # it would be asked for


class IgnoreUp:
    """wants a touch although it was asked without"""

    def touch_when_silent(self, proof):
        return True


class NotSilent:
    """not-silent=STATUS: refuses to answer without touch, unless the PIN was given"""

    def touch_when_silent(self, proof):
        if proof is None:
            raise CtapError(Status(int(self.values["not-silent"][-1], 0)))
        return False


class WrongId:
    """names another credential than the one that answers"""

    def returned_id(self, credential):
        return secrets.token_bytes(len(credential.id))


class NoId:
    """does not name the credential, as it may when it was asked for one"""

    def returned_id(self, credential):
        return None


class Invent:
    """as long as nobody gave the PIN, answers for any id, with an invented signature"""

    def matching(self, ids, rp_id, uv):
        if uv:
            return super().matching(ids, rp_id, uv)
        return [Credential(ids[0], ec.generate_private_key(ec.SECP256R1()), PROTECT_NOTHING, True)]


class _Another:
    """A second answer, of a credential that nobody asked for."""

    FIRST = False

    def matching(self, ids, rp_id, uv):
        found = super().matching(ids, rp_id, uv)
        another = [Credential.new(self._state.device_key, rp_id, PROTECT_NOTHING, True)]
        return (another + found if self.FIRST else found + another) if found else []


class AnotherFirst(_Another):
    """gives two answers, the first of a credential that nobody asked for"""
    FIRST = True


class AnotherLast(_Another):
    """gives two answers, the second of a credential that nobody asked for"""


# PIN

class CountsWhenBlocked:
    """counts PINs down even while it wants to be replugged"""

    def new_pin(self):
        return CountingPin(self._state, self._pin_protocols, self._finger_fits)


class CountingPin(ClientPin):
    def _check_pin_usable(self):
        if self._locked_until_power_up() and self._state.pin_retries:
            self._state.pin_retries -= 1
            self._state.save()
        super()._check_pin_usable()


def name_of(deviation):
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "-", deviation.__name__).lower()


DEVIATIONS = {name_of(found): found for found in list(globals().values())
              if isinstance(found, type) and found.__module__ == __name__ and not found.__name__.startswith("_")
              and found is not CountingPin}


def describe():
    def line(name, deviation):
        text = deviation.__doc__
        return f"  {text}" if text.startswith(f"{name}=") else f"  {name}: {text}"
    return "\n".join(["deviations:", *(line(*item) for item in DEVIATIONS.items()),
                      f"  KIND is one of {', '.join(KINDS)}; STATUS is a number such as 0x33"])


def build(words, *arguments, **options):
    """An authenticator with these deviations ("name" or "name=value"). Raises KeyError or ValueError."""
    chosen, values = [], {}
    for word in words:
        name, _, value = word.partition("=")
        deviation = DEVIATIONS[name]
        if deviation not in chosen:
            chosen.append(deviation)
        if value:
            values.setdefault(name, []).append(deviation.parse(value) if hasattr(deviation, "parse") else value)
    made = type("DeviatingAuthenticator", (*chosen, Authenticator), {"values": values})
    return made(*arguments, **options)
