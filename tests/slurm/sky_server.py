"""A SkyPilot of its own: home, configuration and API server, on a Slurm cluster of `slurm_cluster`."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from slurm_cluster import LOGIN, SlurmCluster, end_all, free_port

HERE = Path(__file__).parent
INFRA = "slurm/sweeptui"
NODE_PYTHON = "/usr/bin/python3"
"""Debian's own, which every user may run."""
LOCK = Path(tempfile.gettempdir()) / "sweeptui-slurm.lock"
ACCELERATORS = {"H100": ("80", "Slurm"), "A100": ("40", "Slurm"), "L4": ("24", "Slurm")}


@contextlib.contextmanager
def slurm_and_sky() -> Iterator[SkyServer]:
    """Both, in a folder of their own; whatever happens, their processes are ended.

    One at a time on a machine, the next one waits: they share the user whom SkyPilot logs in as, and its home.
    """
    # Short, for the sake of sockets, and to be entered by every user.
    with LOCK.open("w") as lock, tempfile.TemporaryDirectory(prefix="sky", ignore_cleanup_errors=True) as name:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("slurm", "home", "shared", "tmp"):
            (folder / each).mkdir()
        cluster = SlurmCluster(folder / "slurm")
        server = SkyServer(folder / "home", cluster)
        server.shared.chmod(0o777)
        try:
            cluster.start()
            try:
                server.start()
                yield server
            finally:
                server.stop()
        finally:
            cluster.stop()


@dataclass
class SkyServer:
    """`start` needs a running cluster. `environment` is what a process needs to talk to it."""

    folder: Path
    cluster: SlurmCluster
    port: int = field(default_factory=free_port)

    @property
    def shared(self) -> Path:
        """A folder that the nodes see, too."""
        return self.folder.parent / "shared"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "PATH": f"{Path(sys.executable).parent}:{self.cluster.environment['PATH']}",
            "TMPDIR": str(self.folder.parent / "tmp"),
            "LC_ALL": "C.UTF-8",
            "SKYPILOT_DISABLE_USAGE_COLLECTION": "1",
            "SKYPILOT_API_SERVER_LOCAL_PORT": str(self.port),
            # It starts as many controllers of managed jobs as fit into the memory: a dozen, where one does it, and
            # they would have the processors to themselves for a minute.
            "SKYPILOT_POD_MEMORY_GB_LIMIT": "6",
        }

    def start(self) -> None:
        self._write_configuration()
        self._write_shims()
        self.sky("api", "start")

    def stop(self) -> None:
        # Some of them change how they are called, and with it what can be read of their environment.
        workers = set(self._workers())
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.sky("api", "stop", check=False, timeout_s=30)
        # Its controllers outlive it, and whoever asks it anything starts it again.
        end_all(lambda process: process.pid in workers and process.ppid() == 1)
        end_all(self._is_own)

    def _is_own(self, process: psutil.Process) -> bool:
        return process.environ().get("HOME") == str(self.folder)

    def _workers(self) -> Iterator[int]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if self._is_own(process):
                    yield from [child.pid for child in process.children(recursive=True)]

    def sky(self, *words: str, check: bool = True, timeout_s: float = 180) -> str:
        """What `sky ...` prints. Raises CalledProcessError."""
        argv = [str(Path(sys.executable).with_name("sky")), *words]
        done = subprocess.run(
            argv,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{argv} ended with {done.returncode}:\n{done.stdout[-4000:]}")
        return done.stdout

    def _write_configuration(self) -> None:
        for path in (self.folder / ".slurm", self.folder / ".ssh"):
            path.mkdir()
        write_catalogue(self.folder)
        (self.folder / ".slurm" / "config").write_text(
            f"Host sweeptui\n  HostName 127.0.0.1\n  Port {self.cluster.ssh_port}\n  User {LOGIN}\n"
            f"  IdentityFile {self.cluster.key}\n  IdentitiesOnly yes\n"
        )
        (self.folder / ".sky" / "config.yaml").write_text(
            "allowed_clouds: [slurm]\nslurm:\n  provision_timeout: 120\n"
            "jobs:\n  controller:\n    consolidation_mode: true\n"
        )

    def _write_shims(self) -> None:
        runtimes = self.cluster.folder / "runtimes"
        runtimes.mkdir()
        shutil.chown(runtimes, LOGIN, LOGIN)
        # The environment of the tests may lie where the login user may not look.
        uv = self.cluster.folder / "uv"
        shutil.copy(Path(sys.executable).with_name("uv"), uv)
        words = {
            "@SHIMS@": str(self.cluster.shims),
            "@UV@": str(uv),
            "@PYTHON@": NODE_PYTHON,
            "@RUNTIMES@": str(runtimes),
        }
        for source in (HERE / "node").iterdir():
            text = source.read_text()
            for word, value in words.items():
                text = text.replace(word, value)
            (self.cluster.shims / source.name).write_text(text)
            (self.cluster.shims / source.name).chmod(0o755)
        packages = Path(sysconfig.get_paths()["purelib"])
        shutil.copy(HERE / "offline_probe.py", packages / "sweeptui_offline_probe.py")
        (packages / "sweeptui_offline_probe.pth").write_text("import sweeptui_offline_probe\n")


def write_catalogue(home: Path) -> None:
    """What SkyPilot knows of GPUs; otherwise it is fetched from the network."""
    catalogue = home / ".sky" / "catalogs" / "v8" / "common"
    catalogue.mkdir(parents=True)
    (catalogue / "accelerators.csv").write_text(
        "AcceleratorName,Clouds\n" + "".join(f'{name},"{cloud}"\n' for name, (_, cloud) in ACCELERATORS.items())
    )
    (catalogue / "metadata.csv").write_text(
        "GPU,MemoryGB,Manufacturer\n" + "".join(f"{name},{gb},NVIDIA\n" for name, (gb, _) in ACCELERATORS.items())
    )
