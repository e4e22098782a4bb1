"""Operators as people at machines of their own: a profile, a certificate and a hardware key each."""

import threading

from harness import PIN, Authenticator, await_that


class Person:
    """An operator other than the vault's first, at another machine."""

    def __init__(self, vault, name, key=None):
        self.vault, self.name = vault, name
        if key is None:
            key = Authenticator(vault.base / f"key-{name}")
            vault.other_keys.append(key)
        self.key = key
        self.profile = None

    def certified(self):
        """Gets an operator's certificate, and makes the profile of their machine."""
        who = self.vault.certify("operator", self.name)
        self.profile = self.vault.base / f"profile-{self.name}"
        self.vault.cli("profile", "create", "--url", self.vault.url, "--ca", self.vault.ca, "--certificate",
                       who.certificate, "--key", who.key, profile=self.profile)
        return self

    def cli(self, *arguments, answers=(("pin", PIN),), **options):
        return self.vault.cli("--device", self.key.path, *arguments, answers=list(answers), profile=self.profile,
                              **options)

    def cli_json(self, *arguments, answers=(("pin", PIN),), **options):
        return self.vault.cli_json("--device", self.key.path, *arguments, answers=list(answers),
                                   profile=self.profile, **options)

    def close(self):
        self.key.stop()


def first(vault):
    """The vault's first operator as a person, with the machine that made the vault."""
    person = Person(vault, "alice", vault.authenticator)
    return person


def team(new_vault, names=("alice", "bob", "carol"), quorum="2/3", **settings):
    """A vault of several operators, each with a certificate: [the vault, a person for each name]."""
    vault = new_vault(opened=False, **settings)
    vault.start()
    vault.plug_in()
    people = [first(vault), *(Person(vault, name) for name in names[1:])]
    done = vault.cli("--socket", vault.socket, "--url", vault.url,
                     *(word for person in people for word in ("--device", person.key.path)),
                     "init", *(word for person in people for word in ("--operator", person.name)),
                     "--quorum", quorum, "--yes", answers=[("pin", PIN)] * len(people))
    vault.cards.append(done.text)
    for person in people[1:]:
        person.certified()
    return [vault, *people]


class Meanwhile:
    """Runs something in a thread; result() gives what it returned or raises what it raised."""

    def __init__(self, function, *arguments, **options):
        self._value = self._error = None

        def run():
            try:
                self._value = function(*arguments, **options)
            except BaseException as error:  # told to whoever asks for the result
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def result(self, seconds=120):
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "it does not end"
        if self._error:
            raise self._error
        return self._value


def pending(vault):
    """The id of the operation that waits for approval, once there is one."""
    return await_that("an operation waits", lambda: vault.api("GET", "/v1/operations")["operations"])[0]["id"]


def settled(vault):
    """Waits until no rotation is under way."""
    await_that("nothing rotates", lambda: vault.api("GET", "/v1/status")["rekey"] is None)
