"""The switch for the imaginary finger, and the socket that turns it at run time."""

import os
import socket
import stat

NOW, NEVER, REFUSE = TOUCHES = ("now", "never", "refuse")
GOOD, BAD = FINGERS = ("good", "bad")


class Control:
    """Takes datagrams of lines: "touch now|never|refuse", "finger good|bad", "replug", "deviate [DEVIATION]...".

    A sender that has an address of its own gets "ok", or "error: ..." at the first line not understood.
    """

    def __init__(self, path, touch, finger, replug, deviate):
        self.touch = touch
        self.finger = finger
        self._replug = replug
        self._deviate = deviate
        self._path = path
        self._socket = None
        if path is not None:
            # Left over from a run that was killed.
            if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
                os.unlink(path)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(path)
            self._socket.setblocking(False)

    def descriptors(self):
        return [self._socket] if self._socket else []

    def drain(self):
        while self._socket:
            try:
                text, sender = self._socket.recvfrom(4096)
            except BlockingIOError:
                return
            answer = self._obey(text)
            if sender:
                try:
                    self._socket.sendto(answer.encode(), sender)
                except OSError:
                    pass  # it did not wait

    def close(self):
        if self._socket:
            self._socket.close()
            os.unlink(self._path)

    def _obey(self, text):
        for line in text.decode(errors="replace").splitlines():
            words = line.split()
            if words == ["replug"]:
                self._replug()
            elif len(words) == 2 and words[0] == "touch" and words[1] in TOUCHES:
                self.touch = words[1]
            elif len(words) == 2 and words[0] == "finger" and words[1] in FINGERS:
                self.finger = words[1]
            elif words[:1] == ["deviate"]:
                try:
                    self._deviate(words[1:])
                except (KeyError, ValueError):
                    return f"error: no such deviation: {line}"
            elif words:
                return f"error: not understood: {line}"
        return "ok"
