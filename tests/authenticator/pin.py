"""authenticatorClientPIN: the two PIN protocols, PIN retries, and PIN/UV auth tokens."""

import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from state import PIN_RETRIES, pin_hash
from status import CtapError, Status, need, take

MAY_MAKE_CREDENTIAL = 0x01
MAY_GET_ASSERTION = 0x02

MIN_PIN_CHARACTERS = 4
MAX_PIN_BYTES = 63
PADDED_PIN_BYTES = 64
WRONG_PINS_PER_POWER_UP = 3
FINGER_RETRIES = 3


class ClientPin:
    """Lives from power-up to power-up; the PIN and its retries live in the state file."""

    def __init__(self, state, versions, finger_fits=None):
        self._state = state
        self._finger_fits = finger_fits
        self._finger_retries = FINGER_RETRIES
        self._protocols = {version: PROTOCOLS[version]() for version in versions}
        self._wrong_in_a_row = 0
        self._commands = {
            0x01: self._get_retries,
            0x02: self._get_key_agreement,
            0x03: self._set_pin,
            0x04: self._change_pin,
            0x05: self._get_token,
            0x09: self._get_token_with_permissions,
        }
        if finger_fits:
            self._commands |= {0x06: self._get_token_with_finger, 0x07: self._get_finger_retries}

    def command(self, parameters):
        command = self._commands.get(need(parameters, 2, int))
        if command is None:
            raise CtapError(Status.INVALID_SUBCOMMAND)
        return command(parameters)

    def protocol(self, version):
        if version is None:
            raise CtapError(Status.MISSING_PARAMETER)
        if version not in self._protocols:
            raise CtapError(Status.INVALID_PARAMETER)
        return self._protocols[version]

    def check_token(self, version, message, proof, permission, rp_id):
        """The client knows the token of an earlier correct PIN, and the token is good for this."""
        protocol = self.protocol(version)
        token = protocol.token
        if not (token.permissions & permission
                and protocol.proves(token.secret, message, proof)
                and token.rp_id in (None, rp_id)):
            raise CtapError(Status.PIN_AUTH_INVALID)
        token.rp_id = rp_id

    def end_of_use(self):
        """A token is good for one touch."""
        for protocol in self._protocols.values():
            protocol.token.permissions = 0

    def _get_retries(self, _):
        return {3: self._state.pin_retries, 4: self._locked_until_power_up()}

    def _get_key_agreement(self, parameters):
        return {1: self.protocol(need(parameters, 1, int)).public_key()}

    def _set_pin(self, parameters):
        protocol, shared = self._agree(parameters)
        if self._state.pin_hash:
            raise CtapError(Status.PIN_AUTH_INVALID)
        new_pin = need(parameters, 5, bytes)
        self._check_proof(protocol, shared, new_pin, parameters)
        self._store_new_pin(protocol.decrypt(shared, new_pin))

    def _change_pin(self, parameters):
        protocol, shared = self._agree(parameters)
        self._check_pin_usable()
        new_pin, old_hash = need(parameters, 5, bytes), need(parameters, 6, bytes)
        self._check_proof(protocol, shared, new_pin + old_hash, parameters)
        self._check_pin(protocol, shared, old_hash)
        self._store_new_pin(protocol.decrypt(shared, new_pin))

    def _get_token(self, parameters):
        """CTAP 2.0: good for both uses, and bound to the relying party that uses it first."""
        return self._issue_token(parameters, MAY_MAKE_CREDENTIAL | MAY_GET_ASSERTION, None)

    def _get_token_with_permissions(self, parameters):
        permissions, rp_id = self._permissions(parameters)
        return self._issue_token(parameters, permissions, rp_id)

    def _get_finger_retries(self, _):
        return {5: self._finger_retries}

    def _get_token_with_finger(self, parameters):
        permissions, rp_id = self._permissions(parameters)
        protocol, shared = self._agree(parameters)
        if self._finger_retries == 0:
            raise CtapError(Status.UV_BLOCKED)
        if not self._finger_fits():
            self._finger_retries -= 1
            raise CtapError(Status.UV_INVALID if self._finger_retries else Status.UV_BLOCKED)
        self._finger_retries = FINGER_RETRIES
        return self._new_token(protocol, shared, permissions, rp_id)

    def _permissions(self, parameters):
        permissions, rp_id = need(parameters, 9, int), take(parameters, 10, str)
        if permissions == 0:
            raise CtapError(Status.INVALID_PARAMETER)
        if permissions & ~(MAY_MAKE_CREDENTIAL | MAY_GET_ASSERTION):
            raise CtapError(Status.UNAUTHORIZED_PERMISSION)
        if rp_id is None:
            raise CtapError(Status.MISSING_PARAMETER)
        return permissions, rp_id

    def _issue_token(self, parameters, permissions, rp_id):
        protocol, shared = self._agree(parameters)
        self._check_pin_usable()
        self._check_pin(protocol, shared, need(parameters, 6, bytes))
        self._finger_retries = FINGER_RETRIES
        return self._new_token(protocol, shared, permissions, rp_id)

    def _new_token(self, protocol, shared, permissions, rp_id):
        for other in self._protocols.values():
            other.token = Token()
        protocol.token.permissions, protocol.token.rp_id = permissions, rp_id
        return {2: protocol.encrypt(shared, protocol.token.secret)}

    def _agree(self, parameters):
        protocol = self.protocol(need(parameters, 1, int))
        return protocol, protocol.shared_secret(need(parameters, 3, dict))

    def _check_proof(self, protocol, shared, message, parameters):
        if not protocol.proves(shared, message, need(parameters, 4, bytes)):
            raise CtapError(Status.PIN_AUTH_INVALID)

    def _check_pin_usable(self):
        if not self._state.pin_hash:
            raise CtapError(Status.PIN_NOT_SET)
        if self._state.pin_retries == 0:
            raise CtapError(Status.PIN_BLOCKED)
        if self._locked_until_power_up():
            raise CtapError(Status.PIN_AUTH_BLOCKED)

    def _check_pin(self, protocol, shared, encrypted_hash):
        # Counted down on disk before the comparison: cutting the power must not save a try.
        self._state.pin_retries -= 1
        self._state.save()
        if not hmac.compare_digest(protocol.decrypt(shared, encrypted_hash), self._state.pin_hash):
            self._wrong_in_a_row += 1
            protocol.new_key_pair()
            if self._state.pin_retries == 0:
                raise CtapError(Status.PIN_BLOCKED)
            if self._locked_until_power_up():
                raise CtapError(Status.PIN_AUTH_BLOCKED)
            raise CtapError(Status.PIN_INVALID)
        self._wrong_in_a_row = 0
        self._state.pin_retries = PIN_RETRIES
        self._state.save()

    def _store_new_pin(self, padded):
        if len(padded) != PADDED_PIN_BYTES:
            raise CtapError(Status.INVALID_PARAMETER)
        pin = padded.rstrip(b"\0")
        try:
            characters = len(pin.decode())
        except UnicodeDecodeError:
            raise CtapError(Status.PIN_POLICY_VIOLATION) from None
        if characters < MIN_PIN_CHARACTERS or len(pin) > MAX_PIN_BYTES:
            raise CtapError(Status.PIN_POLICY_VIOLATION)
        self._state.pin_hash = pin_hash(pin)
        self._state.pin_retries = PIN_RETRIES
        self._state.save()
        for protocol in self._protocols.values():
            protocol.token = Token()

    def _locked_until_power_up(self):
        return self._wrong_in_a_row >= WRONG_PINS_PER_POWER_UP


class Token:
    def __init__(self):
        self.secret = secrets.token_bytes(32)
        self.permissions = 0
        self.rp_id = None


class _Protocol:
    """Key agreement on P-256; the subclasses derive, encrypt and authenticate."""

    def __init__(self):
        self.token = Token()
        self.new_key_pair()

    def new_key_pair(self):
        self._private_key = ec.generate_private_key(ec.SECP256R1())

    def public_key(self):
        return cose_key(self._private_key.public_key(), algorithm=-25)

    def shared_secret(self, peer):
        try:
            x, y = need(peer, -2, bytes), need(peer, -3, bytes)
            point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
            return self.derive(self._private_key.exchange(ec.ECDH(), point.public_key()))
        except ValueError:  # not a point of the curve
            raise CtapError(Status.INVALID_PARAMETER) from None

    def proves(self, key, message, proof):
        return hmac.compare_digest(self.authenticate(key, message), proof)


class Protocol1(_Protocol):
    def derive(self, z):
        return hashlib.sha256(z).digest()

    def encrypt(self, key, plaintext):
        return aes_cbc(key, bytes(16)).encryptor().update(plaintext)

    def decrypt(self, key, ciphertext):
        check_whole_blocks(ciphertext)
        return aes_cbc(key, bytes(16)).decryptor().update(ciphertext)

    def authenticate(self, key, message):
        return hmac.digest(key, message, "sha256")[:16]


class Protocol2(_Protocol):
    """The shared secret is two keys: 32 bytes for HMAC, then 32 bytes for AES."""

    def derive(self, z):
        return b"".join(
            HKDF(hashes.SHA256(), 32, salt=bytes(32), info=info).derive(z)
            for info in (b"CTAP2 HMAC key", b"CTAP2 AES key")
        )

    def encrypt(self, key, plaintext):
        iv = secrets.token_bytes(16)
        return iv + aes_cbc(key[32:], iv).encryptor().update(plaintext)

    def decrypt(self, key, ciphertext):
        check_whole_blocks(ciphertext)
        return aes_cbc(key[32:], ciphertext[:16]).decryptor().update(ciphertext[16:])

    def authenticate(self, key, message):
        return hmac.digest(key[:32], message, "sha256")


PROTOCOLS = {1: Protocol1, 2: Protocol2}


def cose_key(public_key, algorithm):
    numbers = public_key.public_numbers()
    return {1: 2, 3: algorithm, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}


def aes_cbc(key, iv):
    return Cipher(algorithms.AES(key), modes.CBC(iv))


def check_whole_blocks(ciphertext):
    if not ciphertext or len(ciphertext) % 16:
        raise CtapError(Status.INVALID_PARAMETER)
