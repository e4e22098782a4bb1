"""What root can read of another process: its memory, byte for byte."""

import os
from pathlib import Path


def regions(pid):
    """(start, bytes) of every readable mapping."""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, permissions, *_ = line.split()
            if permissions[0] != "r" or "[vvar" in line or "[vsyscall]" in line:
                continue
            start, end = (int(number, 16) for number in span.split("-"))
            content = _read(memory, start, end)
            if content:
                yield start, content


def _read(memory, start, end):
    parts = []
    try:
        memory.seek(start)
        while start < end:
            part = memory.read(min(end - start, 1 << 24))
            if not part:
                break
            parts.append(part)
            start += len(part)
    except OSError:
        pass  # a guard, or memory that even root may not read
    return b"".join(parts)


def found_in(pid, secrets):
    """The names of those secrets ({name: bytes}) that stand anywhere in the memory of pid."""
    found = set()
    for _, content in regions(pid):
        found |= {name for name, value in secrets.items() if value in content}
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
