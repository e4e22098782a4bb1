"""The CTAP2 commands, from request bytes to response bytes; no transport in here.

Every point where imperfect keys are known to differ is a method of its own (credential_secret, hmac_output,
returned_id, sign, ...), so that a table of deviations can replace single methods by name.
"""

import hashlib
import hmac
import io
import secrets
import time

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pin import MAY_GET_ASSERTION, MAY_MAKE_CREDENTIAL, MIN_PIN_CHARACTERS, ClientPin, cose_key
from status import CtapError, Status, need, take

AAGUID = hashlib.sha256(b"Strongroom test authenticator").digest()[:16]
ES256 = -7
MAX_MESSAGE = 1200
MAX_LIST = 8
MAX_RESIDENTS = 25
RESET_WINDOW = 10.0  # seconds after power-up
NEXT_ASSERTION_WINDOW = 30.0

FLAG_UP, FLAG_UV, FLAG_CREDENTIAL, FLAG_EXTENSIONS = 0x01, 0x04, 0x40, 0x80

PROTECT_NOTHING, PROTECT_DISCOVERY, PROTECT_USE = 1, 2, 3


class Authenticator:
    def __init__(self, state, ask_touch, pin_protocols=(2, 1), clock=time.monotonic, finger_fits=None):
        """ask_touch() returns when the user touched, and raises CtapError otherwise.

        finger_fits() asks for a finger and says whether it is the right one; without it there is no reader.
        """
        self._state = state
        self._ask_touch = ask_touch
        self._finger_fits = finger_fits
        self._pin_protocols = list(pin_protocols)
        self._clock = clock
        self._commands = {
            0x01: self._make_credential,
            0x02: self._get_assertion,
            0x04: self._get_info,
            0x06: self._client_pin,
            0x07: self._reset,
            0x08: self._get_next_assertion,
            0x0B: self._selection,
        }
        self.power_up()

    def power_up(self):
        self._powered_up = self._clock()
        self._pin = self.new_pin()
        self._following = None  # what getNextAssertion continues with

    def handle(self, request):
        try:
            if len(request) > MAX_MESSAGE:
                raise CtapError(Status.REQUEST_TOO_LARGE)
            command = self._commands.get(request[0])
            if command is None:
                raise CtapError(Status.INVALID_COMMAND)
            if command != self._get_next_assertion:
                self._following = None
            response = command(decode_parameters(request[1:]))
        except CtapError as error:
            return bytes([error.status])
        return bytes([Status.OK]) + (encode(response) if response else b"")

    # Commands

    def _get_info(self, _):
        return self.info()

    def info(self):
        return {
            0x01: ["FIDO_2_0", "FIDO_2_1"],
            0x02: ["credProtect", "hmac-secret"],
            0x03: AAGUID,
            0x04: {"rk": True, "up": True, "clientPin": self._has_pin(), "pinUvAuthToken": True,
                   **({"uv": True} if self._finger_fits else {})},
            0x05: MAX_MESSAGE,
            0x06: self._pin_protocols,
            0x07: MAX_LIST,
            0x08: Credential.ID_LENGTH,
            0x09: ["usb"],
            0x0A: [{"alg": ES256, "type": "public-key"}],
            0x0D: MIN_PIN_CHARACTERS,
            0x0E: 1,
        }

    def _make_credential(self, parameters):
        client_data_hash = need(parameters, 1, bytes)
        rp_id = need(need(parameters, 2, dict), "id", str)
        user = need(parameters, 3, dict)
        need(user, "id", bytes)
        algorithms = [entry.get("alg") for entry in maps(need(parameters, 4, list))]
        exclude_list = descriptors(take(parameters, 5, list, []))
        extensions = take(parameters, 6, dict, {})
        options = take(parameters, 7, dict, {})
        proof, protocol = take(parameters, 8, bytes), take(parameters, 9, int)

        self._answer_selection_by_touch(proof)
        if ES256 not in algorithms:
            raise CtapError(Status.UNSUPPORTED_ALGORITHM)
        if take(options, "up", bool) is False:
            raise CtapError(Status.INVALID_OPTION)
        protection = take(extensions, "credProtect", int, PROTECT_NOTHING)
        if protection not in (PROTECT_NOTHING, PROTECT_DISCOVERY, PROTECT_USE):
            raise CtapError(Status.INVALID_PARAMETER)
        with_hmac = take(extensions, "hmac-secret", bool, False)

        uv = self._verify_user(proof, protocol, client_data_hash, options, MAY_MAKE_CREDENTIAL, rp_id)
        if not uv and self._has_pin():
            raise CtapError(Status.PIN_REQUIRED)

        excluded = self._usable(exclude_list, rp_id, uv)
        self._touch()
        if excluded:
            raise CtapError(Status.CREDENTIAL_EXCLUDED)

        protection, told = self.granted_protection(extensions.get("credProtect"))
        credential = Credential.new(self._state.device_key, rp_id, protection, with_hmac)
        if take(options, "rk", bool, False):
            self._store_resident(rp_id, user, credential)
        outputs = {}
        if told is not None:
            outputs["credProtect"] = told
        if with_hmac:
            outputs["hmac-secret"] = True
        attested = (AAGUID + len(credential.id).to_bytes(2, "big") + credential.id
                    + encode(cose_key(credential.private_key.public_key(), ES256)))
        authdata = self.authenticator_data(rp_id, FLAG_UP | uv, attested, outputs)
        format, statement = self.attest(credential, authdata + client_data_hash)
        return {1: format, 2: authdata, 3: statement}

    def _get_assertion(self, parameters):
        rp_id = need(parameters, 1, str)
        client_data_hash = need(parameters, 2, bytes)
        allow_list = descriptors(take(parameters, 3, list, []))
        extensions = take(parameters, 4, dict, {})
        options = take(parameters, 5, dict, {})
        proof, protocol = take(parameters, 6, bytes), take(parameters, 7, int)

        self._answer_selection_by_touch(proof)
        if "rk" in options:
            raise CtapError(Status.UNSUPPORTED_OPTION)
        touch = take(options, "up", bool, True) or self.touch_when_silent(proof)
        hmac_input = take(extensions, "hmac-secret", dict)
        if hmac_input is not None and not touch:
            raise CtapError(Status.UNSUPPORTED_OPTION)

        uv = self._verify_user(proof, protocol, client_data_hash, options, MAY_GET_ASSERTION, rp_id)

        if allow_list:
            # The client named the ids, so it can use only one answer.
            found = [(credential, None) for credential in self.matching(allow_list, rp_id, uv)]
        else:
            found = self._discoverable(rp_id, uv)
        if not found:
            raise CtapError(Status.NO_CREDENTIALS)
        if touch:
            self._touch()
        salts = self._open_salts(hmac_input) if hmac_input is not None else None

        def answer(credential, user):
            outputs = {}
            if salts and credential.with_hmac:
                output = self.hmac_output(credential, bool(uv), salts.plain)
                outputs = {"hmac-secret": salts.seal(output)} if output is not None else {}
            authdata = self.authenticator_data(rp_id, (FLAG_UP if touch else 0) | uv, b"", outputs)
            response = {
                1: {"id": self.returned_id(credential), "type": "public-key"},
                2: authdata,
                3: self.sign(credential, authdata + client_data_hash),
            }
            if response[1]["id"] is None:
                del response[1]  # allowed when one id was sent
            if user:
                # Names identify a person, so they need more than possession of the key.
                response[4] = user if uv else {"id": user["id"]}
            return response

        response = answer(*found[0])
        if len(found) > 1:
            response[5] = len(found)
            self._following = Following(answer, found[1:], self._clock() + NEXT_ASSERTION_WINDOW)
        return response

    def _get_next_assertion(self, _):
        if not (self._following and self._following.found and self._clock() < self._following.deadline):
            raise CtapError(Status.NOT_ALLOWED)
        return self._following.answer(*self._following.found.pop(0))

    def _client_pin(self, parameters):
        return self._pin.command(parameters)

    def _reset(self, _):
        if self._clock() - self._powered_up > RESET_WINDOW:
            raise CtapError(Status.NOT_ALLOWED)
        self._ask_touch()
        self._state.erase()
        self._state.save()
        self.power_up()

    def _selection(self, _):
        self._ask_touch()

    # Steps that a deviation may replace

    def new_pin(self):
        return ClientPin(self._state, self._pin_protocols, self._finger_fits)

    def granted_protection(self, asked):
        """The level of a new credential, and what its extensions tell of it, if anything."""
        return asked or PROTECT_NOTHING, asked

    def attest(self, credential, message):
        return "packed", {"alg": ES256, "sig": self.sign(credential, message)}

    def touch_when_silent(self, proof):
        """Asked for an answer without touch: whether it wants one nevertheless."""
        return False

    def matching(self, ids, rp_id, uv):
        """The client named the ids, so it can use only one answer."""
        return self._usable(ids, rp_id, uv)[:1]

    def credential_secret(self, credential, uv):
        """Two independent secrets per credential, with and without user verification."""
        label = b"hmac-secret with verification" if uv else b"hmac-secret without verification"
        return hmac.digest(self._state.device_key, label + credential.id, "sha256")

    def hmac_output(self, credential, uv, salts):
        secret = self.credential_secret(credential, uv)
        return b"".join(hmac.digest(secret, salts[i:i + 32], "sha256") for i in range(0, len(salts), 32))

    def returned_id(self, credential):
        return credential.id

    def sign(self, credential, message):
        return credential.private_key.sign(message, ec.ECDSA(hashes.SHA256()))

    def authenticator_data(self, rp_id, flags, attested, extensions):
        self._state.counter += 1
        self._state.save()
        if attested:
            flags |= FLAG_CREDENTIAL
        if extensions:
            flags |= FLAG_EXTENSIONS
        return (hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self._state.counter.to_bytes(4, "big")
                + attested + (encode(extensions) if extensions else b""))

    # Shared by the commands

    def _has_pin(self):
        return self._state.pin_hash is not None

    def _touch(self):
        self._ask_touch()
        self._pin.end_of_use()

    def _answer_selection_by_touch(self, proof):
        """An empty PIN proof asks only for a touch: the client wants to know which key the user means."""
        if proof == b"":
            self._ask_touch()
            raise CtapError(Status.PIN_INVALID if self._has_pin() else Status.PIN_NOT_SET)

    def _verify_user(self, proof, protocol, client_data_hash, options, permission, rp_id):
        """FLAG_UV if the client has a token, else 0. A finger gives a token too, never an option alone."""
        if proof is not None:
            self._pin.check_token(protocol, client_data_hash, proof, permission, rp_id)
            return FLAG_UV
        if take(options, "uv", bool, False):
            raise CtapError(Status.INVALID_OPTION)
        return 0

    def _usable(self, ids, rp_id, uv):
        credentials = [Credential.open(self._state.device_key, rp_id, id) for id in ids]
        return [c for c in credentials if c and (uv or c.protection != PROTECT_USE)]

    def _discoverable(self, rp_id, uv):
        found = []
        for resident in reversed(self._state.residents):  # newest first
            if resident["rp_id"] == rp_id:
                credential = Credential.open(self._state.device_key, rp_id, resident["id"])
                if uv or credential.protection == PROTECT_NOTHING:
                    found.append((credential, resident["user"]))
        return found

    def _store_resident(self, rp_id, user, credential):
        names = {key: user[key] for key in ("name", "displayName") if isinstance(user.get(key), str)}
        user = {"id": user["id"], **names}
        others = [r for r in self._state.residents if (r["rp_id"], r["user"]["id"]) != (rp_id, user["id"])]
        if len(others) >= MAX_RESIDENTS:
            raise CtapError(Status.KEY_STORE_FULL)
        self._state.residents = others + [{"rp_id": rp_id, "user": user, "id": credential.id}]

    def _open_salts(self, hmac_input):
        protocol = self._pin.protocol(take(hmac_input, 4, int, 1))
        shared = protocol.shared_secret(need(hmac_input, 1, dict))
        sealed = need(hmac_input, 2, bytes)
        if not protocol.proves(shared, sealed, need(hmac_input, 3, bytes)):
            raise CtapError(Status.PIN_AUTH_INVALID)
        plain = protocol.decrypt(shared, sealed)
        if len(plain) not in (32, 64):
            raise CtapError(Status.INVALID_LENGTH)
        return Salts(plain, lambda output: protocol.encrypt(shared, output))


class Salts:
    def __init__(self, plain, seal):
        self.plain = plain
        self.seal = seal


class Following:
    def __init__(self, answer, found, deadline):
        self.answer = answer
        self.found = found
        self.deadline = deadline


class Credential:
    """Lives in its own id: private key and policy, sealed under the device key for one relying party."""

    NONCE = 12
    ID_LENGTH = NONCE + 32 + 1 + 1 + 16

    def __init__(self, id, private_key, protection, with_hmac):
        self.id = id
        self.private_key = private_key
        self.protection = protection
        self.with_hmac = with_hmac

    @classmethod
    def new(cls, device_key, rp_id, protection, with_hmac):
        private_key = ec.generate_private_key(ec.SECP256R1())
        scalar = private_key.private_numbers().private_value.to_bytes(32, "big")
        nonce = secrets.token_bytes(cls.NONCE)
        sealed = cls._aead(device_key).encrypt(nonce, scalar + bytes([protection, with_hmac]), rp_id.encode())
        return cls(nonce + sealed, private_key, protection, with_hmac)

    @classmethod
    def open(cls, device_key, rp_id, id):
        """None for an id that is not ours, or belongs to another relying party."""
        if len(id) != cls.ID_LENGTH:
            return None
        try:
            plain = cls._aead(device_key).decrypt(id[:cls.NONCE], id[cls.NONCE:], rp_id.encode())
        except InvalidTag:
            return None
        private_key = ec.derive_private_key(int.from_bytes(plain[:32], "big"), ec.SECP256R1())
        return cls(id, private_key, plain[32], bool(plain[33]))

    @staticmethod
    def _aead(device_key):
        return AESGCM(hmac.digest(device_key, b"credential id", "sha256"))


def encode(value):
    # Clients reject maps whose keys are not in canonical order.
    return cbor2.dumps(value, canonical=True)


def decode_parameters(data):
    if not data:
        return {}
    stream = io.BytesIO(data)
    try:
        parameters = cbor2.load(stream)
    except Exception:  # the decoder's exceptions for bad input are not one family in all its versions
        raise CtapError(Status.INVALID_CBOR) from None
    if stream.tell() != len(data):
        raise CtapError(Status.INVALID_CBOR)
    if not isinstance(parameters, dict):
        raise CtapError(Status.CBOR_UNEXPECTED_TYPE)
    return parameters


def maps(entries):
    if not all(isinstance(entry, dict) for entry in entries):
        raise CtapError(Status.CBOR_UNEXPECTED_TYPE)
    return entries


def descriptors(entries):
    """The ids in an allow or exclude list."""
    if len(entries) > MAX_LIST:
        raise CtapError(Status.LIMIT_EXCEEDED)
    return [need(entry, "id", bytes) for entry in maps(entries) if need(entry, "type", str) == "public-key"]
