"""Fixtures of the end-to-end tests."""

import signal
import sys

import pytest

sys.dont_write_bytecode = True  # a test run leaves nothing in the source tree

import harness  # noqa: E402


def pytest_configure(config):
    # `timeout` ends a run with SIGTERM: then too, nothing stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))


def pytest_unconfigure(config):
    harness.close_all()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for vault in harness.LIVE:
            report.sections.append((f"daemon log, last lines ({vault.base})", vault.log()[-6000:]))


@pytest.fixture(scope="session")
def vault():
    """An unlocked vault for tests that make a customer of their own and leave the vault open."""
    vault = harness.Vault.opened()
    yield vault
    vault.close()


@pytest.fixture
def customer(vault):
    """A tenant with an engagement, a key and a gateway in the shared vault."""
    return vault.customer()


@pytest.fixture
def new_vault():
    """Makes vaults for tests that stop, lock, break or age one: new_vault(setting=value)."""
    made = []

    def make(opened=True, **settings):
        vault = harness.Vault.opened(**settings) if opened else harness.Vault(**settings)
        made.append(vault)
        return vault

    yield make
    for vault in made:
        vault.close()


@pytest.fixture
def own(new_vault):
    """An unlocked vault of the test's own."""
    return new_vault()
