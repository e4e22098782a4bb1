"""The fido module on the command line, and what it prints."""

import os
import subprocess

import pytest
from harness import BIN, SLOW

import stock  # its folder is on the path since harness

TOOL = BIN / "tests/fido_tool"
PIN = "1234"
HASH, SALT, NEXT = "ab" * 32, "01" * 32, "02" * 32
PATIENCE = 20 * SLOW
WRONG_ANSWER = "The answer does not come from the enrolled key or lacks verification."


class Answer(dict):
    """What the tool printed: the last value of each name, and all that was said."""

    def __init__(self, code, output):
        lines = [line.split(" ", 1) for line in output.splitlines()]
        super().__init__(line for line in lines if len(line) == 2)
        self.code = code
        self.names = [line[0] for line in lines]


def tool(*arguments, pin=PIN, **options):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=90,
                          env=dict(os.environ, FIDO_TOOL_PIN=pin), **options)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "FIDO" not in done.stderr and "fido_" not in done.stderr  # the library logs nothing
    return Answer(done.returncode, done.stdout)


def refused(answer, status, why):
    assert (answer.code, answer["status"], answer["why"]) == (1, status, why)
    return True


def waiting_tool(key, *arguments):
    """The tool, at the moment when the key waits for the touch."""
    process = subprocess.Popen([TOOL, *map(str, arguments)], stdout=subprocess.PIPE, text=True,
                               env=dict(os.environ, FIDO_TOOL_PIN=PIN))
    while key.line() != "waiting for touch":
        pass
    return process


# --- fixtures for the files that import them -------------------------------------------------------


@pytest.fixture
def start(tmp_path):
    running = []

    def start(*options, pin=PIN, name="key"):
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        running.append(stock.Process(directory, *(["--pin", pin] if pin else []), *options))
        return running[-1]

    yield start
    for process in running:
        process.stop()


@pytest.fixture
def key(start):
    return start()


@pytest.fixture
def enrolled(key):
    answer = tool("enrol", key.path, HASH)
    assert answer.code == 0
    return answer["id"], answer["public"]
