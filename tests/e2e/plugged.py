"""Keys that are plugged in: sysfs, nodes and descriptors by umockdev, with a software authenticator behind each node.

umockdev takes the place of the C library's file functions in a program that is neither static nor setuid. The node of
a key is a link to the pty of its authenticator.
"""

import shlex

# Usage page FIDO, one report of 64 bytes each way.
KEY = bytes.fromhex("06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0")
MOUSE = bytes.fromhex("05010902a1010901a100050919012903150025019503750181029501750581010501093009311581257f750895028106c0c0")
DESCRIPTOR_ROOM = 4096

DEVICE = """\
P: /devices/usb1/1-{n}
E: DEVTYPE=usb_device
E: SUBSYSTEM=usb
A: idVendor=1050\\n
A: idProduct=040{n}\\n
A: manufacturer=Maker\\n
A: product={product}\\n

P: /devices/usb1/1-{n}/1-{n}:1.0/0003:1050:040{n}.000{n}
E: SUBSYSTEM=hid
E: HID_ID=0003:00001050:0000040{n}
H: report_descriptor={descriptor}

P: /devices/usb1/1-{n}/1-{n}:1.0/0003:1050:040{n}.000{n}/hidraw/hidraw{n}
N: hidraw{n}
E: DEVNAME=/dev/hidraw{n}
E: SUBSYSTEM=hidraw
A: dev=240:{n}\\n
L: device=../../../0003:1050:040{n}.000{n}

"""


class Plugged:
    """path(key) is what programs see of a key; command(...) is a command line that sees them all."""

    def __init__(self, directory, *keys, mouse=False):
        self.keys = keys
        devices = [("a mouse", MOUSE)] * mouse + [(f"Key {key.name}", KEY) for key in keys]
        self._first = int(mouse)
        self._options = []
        for n, (product, descriptor) in enumerate(devices):
            device, answers = directory / f"{n}.umockdev", directory / f"{n}.ioctl"
            device.write_text(DEVICE.format(n=n, product=product, descriptor=descriptor.hex().upper()))
            length = len(descriptor).to_bytes(4, "little")
            answers.write_text(f"@DEV /dev/hidraw{n}\nHIDIOCGRDESCSIZE 0 {length.hex().upper()}\n"
                               f"HIDIOCGRDESC 0 {(length + descriptor.ljust(DESCRIPTOR_ROOM, bytes(1))).hex().upper()}\n")
            self._options += ["--device", device, "--ioctl", f"/dev/hidraw{n}={answers}"]

    def path(self, key):
        return f"/dev/hidraw{self._first + self.keys.index(key)}"

    def text(self, key):
        """How a key is named to the user."""
        return f"{self.path(key)} (Maker Key {key.name})"

    def using(self, key):
        return f"Using {self.text(key)}"

    def command(self, *words, become=""):
        links = "".join(f'ln -sfn {shlex.quote(key.path)} "$UMOCKDEV_DIR{self.path(key)}"; ' for key in self.keys)
        return ["umockdev-run", *map(str, self._options), "--", "sh", "-c", f'{links}{become}exec "$@"', "sh",
                *map(str, words)]
