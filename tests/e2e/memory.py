"""What root can read of another process: its memory, byte for byte."""

import array
import contextlib
import os
import signal
import time
from pathlib import Path

PAGE = os.sysconf("SC_PAGESIZE")
IN_MEMORY, IN_SWAP = 1 << 63, 1 << 62  # of an entry of /proc/PID/pagemap
KERNELS = ("[vvar]", "[vvar_vclock]", "[vsyscall]")  # not the process's own


class Unreadable(Exception):
    """A page that is there cannot be read: nobody may conclude that nothing is on it."""


@contextlib.contextmanager
def stopped(pid):
    """Holds a process still, so that what is read of it belongs together; not this one itself."""
    if pid == os.getpid():
        yield
        return
    os.kill(pid, signal.SIGSTOP)
    try:
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def mappings(pid):
    """(start, end, permissions, name) of all that belongs to the process, readable by itself or not."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, permissions, _, _, _, *name = line.split(maxsplit=5)
        start, end = (int(number, 16) for number in span.split("-"))
        name = name[0] if name else ""
        if name not in KERNELS:
            yield start, end, permissions, name


def _runs(pagemap, start, end):
    """The parts of a mapping that have memory. The rest was never touched: it holds nothing."""
    entries = array.array("Q")
    pagemap.seek(start // PAGE * 8)
    entries.frombytes(pagemap.read((end - start) // PAGE * 8))
    first = None
    for i, entry in enumerate([*entries, 0]):
        there = entry & (IN_MEMORY | IN_SWAP)
        if there and first is None:
            first = i
        elif not there and first is not None:
            yield start + first * PAGE, start + i * PAGE
            first = None


def regions(pid, hidden=None):
    """(name, bytes) of every stretch of memory, whatever its protection. Names of mappings that cannot be
    read are added to the set hidden; without one, such a mapping is Unreadable."""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for start, end, _, name in mappings(pid):
            for first, last in _runs(pagemap, start, end):
                try:
                    yield name, _read(memory, first, last)
                except OSError:
                    if hidden is None:
                        raise Unreadable(f"{name} of {pid}") from None
                    hidden.add(name)


def _read(memory, start, end):
    parts = []
    memory.seek(start)
    while start < end:
        part = memory.read(min(end - start, 1 << 24))
        if not part:
            raise OSError("ends early")
        parts.append(part)
        start += len(part)
    return b"".join(parts)


HIDDEN_SLAB = "/secretmem (deleted)"  # memfd_secret, by its name in /proc/PID/maps


def copies_in(pid, secrets):
    """{name: [mapping, ...]}: where each of the secrets ({name: bytes}) stands in the memory of pid, once
    for each time. Unreadable if there is memory that cannot be searched."""
    found = {name: [] for name in secrets}
    with stopped(pid):
        for mapping, content in regions(pid):
            for name, value in secrets.items():
                found[name] += [mapping] * content.count(value)
    return {name: places for name, places in found.items() if places}


def found_in(pid, secrets):
    """The names of those secrets that stand anywhere in the memory of pid."""
    return set(copies_in(pid, secrets))


def locked(pid):
    """(permissions, KiB) of every mapping that is locked in memory."""
    found, here = [], None
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if "-" in first and not first.endswith(":"):
            here = rest[0]
        elif first == "Size:":
            size = int(rest[0])
        elif first == "VmFlags:" and "lo" in rest:
            found.append((here, size))
    return found


def files_with(directory, secrets):
    """{path: names} of all files below a directory that hold one of the secrets."""
    found = {}
    for base, _, names in os.walk(directory):
        for name in names:
            path = Path(base, name)
            if not path.is_file() or path.is_symlink():
                continue
            content = path.read_bytes()
            held = {secret for secret, value in secrets.items() if value in content}
            if held:
                found[str(path)] = held
    return found
