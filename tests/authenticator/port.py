"""A pseudo terminal that behaves like a hidraw node, as far as libfido2 can tell."""

import fcntl
import os
import socket
import struct
import termios
import time
import tty

REPORT = 64
# A client writes the report number first, as the kernel wants it on a hidraw node.
WRITTEN = 1 + REPORT
# A hidraw node also drops reports when its reader does not keep up. What a client left unread goes to the next one,
# which skips it because it is addressed to another channel.
UNREAD_LIMIT = 32 * REPORT
# Clients write a report at once, so what is still incomplete after this many seconds came from one that died.
TORN_REPORT_TIMEOUT = 0.5


class Port:
    def __init__(self):
        # Our own slave descriptor keeps the master usable after the last client closed.
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        attributes = termios.tcgetattr(self._slave)
        attributes[6][termios.VMIN] = REPORT
        attributes[6][termios.VTIME] = 0
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        self.path = os.ttyname(self._slave)
        self._input = b""
        self._last_input = 0.0
        self._hold_terminal()

    def fileno(self):
        return self._master

    def fill(self):
        now = time.monotonic()
        if now - self._last_input > TORN_REPORT_TIMEOUT and not self.has_report():
            self._input = b""
        self._last_input = now
        self._input += os.read(self._master, 64 * WRITTEN)

    def has_report(self):
        return len(self._input) >= WRITTEN

    def take_report(self):
        """The next whole report, or None."""
        if not self.has_report():
            return None
        written, self._input = self._input[:WRITTEN], self._input[WRITTEN:]
        if written[0] != 0:
            # Not on a report boundary: no later byte is known to be one.
            self._input = b""
            return None
        return written[1:]

    def send(self, report):
        assert len(report) == REPORT
        os.write(self._master, report)

    def crowded(self):
        """Nobody seems to read the replies."""
        return struct.unpack("i", fcntl.ioctl(self._slave, termios.FIONREAD, b"\0" * 4))[0] >= UNREAD_LIMIT

    def close(self):
        self._helper.close()
        os.close(self._master)
        os.close(self._slave)

    def _hold_terminal(self):
        """Make the pty the controlling terminal of a helper process.

        Otherwise a client that leads a session without a terminal gets it on open, and then asks the key for the PIN.
        """
        self._helper, helper_end = socket.socketpair()
        if os.fork() == 0:
            try:
                os.setsid()
                fcntl.ioctl(self._slave, termios.TIOCSCTTY, 0)
                os.close(self._master)
                self._helper.close()
                # Whoever reads our output waits for its end, which this process must not delay.
                for descriptor in (0, 1, 2):
                    os.close(descriptor)
                helper_end.send(b"!")
                helper_end.recv(1)  # returns when we end, however that happens
            finally:
                os._exit(0)
        helper_end.close()
        if not self._helper.recv(1):
            raise OSError("no controlling process for the pty")
