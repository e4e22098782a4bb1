"""What the authenticator remembers without power: one JSON file, replaced atomically."""

import hashlib
import json
import os
import secrets

FORMAT = 1
PIN_RETRIES = 8


def pin_hash(pin):
    """The form in which CTAP2 compares PINs."""
    return hashlib.sha256(pin).digest()[:16]


class State:
    def __init__(self, path):
        self.path = path
        self.erase()

    @classmethod
    def open(cls, path, pin=None):
        """Load the file, or make a new one; the PIN counts only for a new one."""
        state = cls(path)
        if os.path.exists(path):
            state._load()
        else:
            state.pin_hash = pin_hash(pin.encode()) if pin is not None else None
            state.save()
        return state

    def erase(self):
        """Factory state. The new device key makes every old credential id worthless."""
        self.device_key = secrets.token_bytes(32)
        self.pin_hash = None
        self.pin_retries = PIN_RETRIES
        self.counter = 0
        self.residents = []  # {"rp_id": text, "user": {"id": bytes, ...}, "id": bytes}

    def save(self):
        document = {
            "format": FORMAT,
            "device_key": self.device_key.hex(),
            "pin_hash": self.pin_hash.hex() if self.pin_hash else None,
            "pin_retries": self.pin_retries,
            "counter": self.counter,
            "residents": [
                {"rp_id": r["rp_id"], "user": {**r["user"], "id": r["user"]["id"].hex()}, "id": r["id"].hex()}
                for r in self.residents
            ],
        }
        temporary = self.path + ".new"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, self.path)
        # The rename itself is durable only once the directory is.
        directory = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _load(self):
        with open(self.path) as file:
            document = json.load(file)
        if document["format"] != FORMAT:
            raise ValueError(f"{self.path}: unknown format {document['format']}")
        self.device_key = bytes.fromhex(document["device_key"])
        self.pin_hash = bytes.fromhex(document["pin_hash"]) if document["pin_hash"] else None
        self.pin_retries = document["pin_retries"]
        self.counter = document["counter"]
        self.residents = [
            {
                "rp_id": r["rp_id"],
                "user": {**r["user"], "id": bytes.fromhex(r["user"]["id"])},
                "id": bytes.fromhex(r["id"]),
            }
            for r in document["residents"]
        ]
