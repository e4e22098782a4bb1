"""Power cuts: takes back what was written and not synced, from the notes of tests/preload/unsynced.c."""

import struct

from harness import BIN, await_that, alive

SHIM = BIN / "tests/unsynced.so"
NAMES = ("keyring keyring.new keyring.next keyring.next.new journal journal.new "
         "strongroom.db strongroom.db-wal strongroom.db-tail strongroom.db.next")
HEAD = struct.Struct("=QQI")
SECTOR, PAGE = 512, 4096


def environment(deaf="", preload=SHIM):
    return {"LD_PRELOAD": str(preload), "UNSYNCED_NAMES": NAMES, "UNSYNCED_DEAF": deaf,
            "UNSYNCED_SYNC_US": "3000"}


def notes_of(data):
    """[(offset, size before, bytes before)], oldest first. A note that a kill cut off never became a write."""
    found, at = [], 0
    while at + HEAD.size <= len(data):
        offset, size, n = HEAD.unpack_from(data, at)
        at += HEAD.size
        if at + n > len(data):
            break
        found.append((offset, size, data[at:at + n]))
        at += n
    return found


def durable(now, notes):
    """The file as of its last sync."""
    old = bytearray(now)
    for offset, size, before in reversed(notes):
        del old[size:]
        old += bytes(size - len(old))
        old[offset:offset + len(before)] = before
    return bytes(old)


def mixed(old, now, unit, luck):
    """What a disk may have that wrote some of the units and not the others, and the new size or not."""
    size = luck.choice((len(old), len(now)))
    made = bytearray((old + bytes(max(0, len(now) - len(old))))[:size])
    made += bytes(size - len(made))
    for at in range(0, size, unit):
        if luck.random() < 0.5 and at < len(now):
            made[at:at + unit] = now[at:at + unit][:size - at].ljust(min(unit, size - at), b"\0")
    return bytes(made)


def cut(vault, luck, unit=None):
    """Kills everything at once and loses what was not synced: all of it, or units of so many bytes at random.

    Returns how many bytes of files are not what they were.
    """
    everyone = list(vault.processes().values())
    vault.daemon.kill()
    vault.daemon.wait()
    await_that("all processes are gone", lambda: not any(alive(pid) for pid in everyone))
    return lose(vault, luck, unit)


def lose(vault, luck, unit=None):
    lost = 0
    files = {path.stat().st_ino: path for path in vault.data.rglob("*") if ".unsynced-" not in path.name}
    for notes in list(vault.data.rglob("*.unsynced-*")) + list(vault.data.rglob(".unsynced-*")):
        path = files.get(int(notes.name.rpartition("-")[2]))
        found = notes_of(notes.read_bytes())
        if path is not None and found:
            now = path.read_bytes()
            old = durable(now, found)
            left = old if unit is None else mixed(old, now, unit, luck)
            lost += sum(1 for a, b in zip(now, left) if a != b) if len(now) == len(left) else abs(len(now) - len(left))
            with open(path, "r+b") as file:
                file.truncate(len(left))
                file.write(left)
        notes.write_bytes(b"")
    for index in vault.data.rglob("*-shm"):
        index.unlink()
    return lost
