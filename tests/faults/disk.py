"""A small disk of its own for a server: it can be full, and it can lose its power."""

import fcntl
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

SHUT_DOWN = 0x8004587D  # FS_IOC_SHUTDOWN
WITHOUT_FLUSH = (2).to_bytes(4, "little")
MIB = 2**20


class Disk:
    """An image file with ext4 on it, mounted at a folder; a test that needs one is skipped without root."""

    def __init__(self, image: Path, folder: Path, *, size: int) -> None:
        self.folder = folder
        self._image = image
        self._size = size * MIB
        self._ballast = folder / "ballast"

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            pytest.skip("only root can mount a disk of its own")
        self.folder.mkdir(exist_ok=True)
        with self._image.open("wb") as image:
            image.truncate(self._size)
        try:
            _run("mkfs.ext4", "-q", "-m", "0", self._image)
            self._mount()
        except FileNotFoundError as why:
            pytest.skip(f"a disk of its own needs {why.filename}")
        except subprocess.CalledProcessError as why:
            pytest.skip(f"this machine mounts no image: {why.stderr.strip()}")
        (self.folder / "lost+found").rmdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unmount()
        self._image.unlink()

    def fill(self) -> None:
        """Not one more block can be written."""
        with self._ballast.open("ab") as ballast:
            step = self._size
            while step >= 1024:
                try:
                    os.posix_fallocate(ballast.fileno(), ballast.tell(), step)
                    ballast.seek(0, os.SEEK_END)
                except OSError:
                    step //= 2

    def free(self) -> None:
        self._ballast.unlink()

    def lose_power(self) -> None:
        """From this moment on nothing more reaches the disk: neither what programs write now, nor what they
        wrote and the kernel still holds. It can be used again after `power_up`."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUT_DOWN, WITHOUT_FLUSH)
        finally:
            os.close(folder)

    def flush(self) -> None:
        """What programs wrote until now is on the disk."""
        _run("sync", "--file-system", self.folder)

    def power_up(self, *mounted_in_it: "Disk") -> None:
        """With what had reached it. No program may be using it any more."""
        for disk in mounted_in_it:
            disk._unmount()
        self._unmount()
        self._mount()
        for disk in mounted_in_it:
            disk._mount()

    def _mount(self) -> None:
        _run("mount", "-o", "loop", self._image, self.folder)

    def _unmount(self) -> None:
        for attempt in range(50, -1, -1):
            try:
                _run("umount", self.folder)
                return
            except subprocess.CalledProcessError:  # a killed process may still be on its way out
                if not attempt:
                    raise
                time.sleep(0.1)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
