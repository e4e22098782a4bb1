"""Runs a program the way a person does: with a terminal of its own that types answers when asked."""

import ctypes
import fcntl
import os
import re
import select
import signal
import subprocess
import termios
import time

PATIENCE = 60  # seconds after which something that should happen counts as never
PROMPT = re.compile(rb"[:?>] ?$")
PR_SET_PDEATHSIG = 1
SHOWN = "shown"

_libc = ctypes.CDLL(None)


def die_with_parent():
    """In a child, before exec: nothing that a test run started outlives it, however it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Finished:
    """What a program said and how it ended."""

    def __init__(self, command, code, out, err, asked, echoed):
        self.command, self.code = command, code
        self.out, self.err = out.decode(errors="replace"), err.decode(errors="replace")
        self.asked = asked.decode(errors="replace")  # everything the terminal showed
        self.echoed = echoed  # for each answer, whether the terminal would have shown it

    @property
    def text(self):
        return self.out + self.err + self.asked

    def __str__(self):
        parts = [("out", self.out), ("err", self.err), ("terminal", self.asked)]
        shown = "".join(f"\n  {name}: {text.rstrip()}" for name, text in parts if text.strip())
        return f"{' '.join(map(str, self.command))}\n  ended with {self.code}{shown}"


def run(command, answers=(), stdin=None, env=None, seconds=PATIENCE, on_prompt=None, cwd=None):
    """Runs command. answers: (word of the prompt, what to type) in the order of the prompts, with a
    third member SHOWN where the terminal may show what is typed.

    stdin: bytes for standard input, or None for the terminal itself. on_prompt(process) is called at
    every prompt before the answer is typed.
    """
    master, slave = os.openpty()

    def prepare():
        die_with_parent()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        command, stdin=slave if stdin is None else subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True, preexec_fn=prepare, env=env, cwd=cwd)
    try:
        if stdin is not None:
            _feed(process, stdin)
        out, err, asked, echoed = _converse(process, master, slave, list(answers), seconds, on_prompt)
        code = process.wait(seconds)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            stream.close()
        os.close(slave)
        os.close(master)
    return Finished(command, code, out, err, asked, echoed)


def _feed(process, data):
    try:
        process.stdin.write(data)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it did not want it


def _converse(process, master, slave, answers, seconds, on_prompt):
    streams = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}
    ends, asked, since, echoed = set(), b"", b"", []
    deadline = time.monotonic() + seconds
    while len(ends) < len(streams):
        watched = [master, *(fd for fd in streams if fd not in ends)]
        ready = select.select(watched, [], [], max(0, deadline - time.monotonic()))[0]
        if not ready:
            raise AssertionError(f"{command_line(process)} hangs after {asked + b''.join(streams.values())!r}")
        for fd in ready:
            data = os.read(fd, 65536)
            if fd != master:
                if not data:
                    ends.add(fd)
                streams[fd] += data
                continue
            asked, since = asked + data, since + data
            if not PROMPT.search(since):
                continue
            if not answers:
                raise AssertionError(f"{command_line(process)} asks for more than expected: {since!r}")
            word, answer, *shown = answers.pop(0)
            if word.encode().lower() not in since.lower():
                raise AssertionError(f"{command_line(process)} does not ask for {word!r} but: {since!r}")
            if on_prompt:
                on_prompt(process)
            echoed.append(not _hides(slave, shown))
            os.write(master, answer.encode() + b"\n")
            since = b""
    while select.select([master], [], [], 0)[0]:
        asked += os.read(master, 65536)
    return *streams.values(), asked, echoed


def _hides(slave, shown):
    """The terminal does not show what is typed. A program may take a moment between prompt and silence."""
    deadline = time.monotonic() + (0 if shown else 5)
    while True:
        if not termios.tcgetattr(slave)[3] & termios.ECHO:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.001)


def command_line(process):
    return " ".join(map(str, process.args))
