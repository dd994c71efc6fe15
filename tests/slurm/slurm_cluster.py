"""A real Slurm on one host: munged, slurmctld, slurmd and sshd on loopback, each a child of this process.

Nothing is installed and nothing in /etc is written: all of it lies in one folder, on ports of its own. It needs root,
for Slurm starts jobs as another user: `LOGIN`, which is made where it is missing, because SkyPilot writes into the
home of whom it logs in as.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LOGIN = "sweeptui-slurm"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo", "squeue", "scancel", "sshd", "ssh-keygen", "rsync", "nc")
CPUS = 16
"""More than the machine has, so that several trials fit."""
GPUS = 8
PATIENCE_S = 60


def missing() -> str:
    """Why a cluster cannot be started here, or ""."""
    if os.geteuid() != 0:
        return "Slurm wants root to start jobs as another user"
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    return f"{', '.join(absent)} missing; .ci/skypilot says what to install" if absent else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class SlurmCluster:
    """Started by `start`; `stop` ends every process that it started."""

    folder: Path
    """Empty, and every user may enter it."""
    ssh_port: int = field(default_factory=free_port)
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def key(self) -> Path:
        return self.folder / "client_ed25519"

    @property
    def shims(self) -> Path:
        """First on the login user's PATH."""
        return self.folder / "shims"

    @property
    def home(self) -> Path:
        return Path(pwd.getpwnam(LOGIN).pw_dir)

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": _path(), "SLURM_CONF": str(self.folder / "slurm.conf"), "LC_ALL": "C.UTF-8"}

    def start(self) -> None:
        for name in ("spool", "state", "log", "shims"):
            (self.folder / name).mkdir()
        self._make_login()
        self._write_configuration()
        munge = self.folder / "munge"
        munge.mkdir()
        shutil.chown(munge, "munge", "munge")
        self._run(
            *("setpriv", "--reuid=munge", "--regid=munge", "--init-groups", "munged", "--foreground", "--force"),
            *("--key-file", "/etc/munge/munge.key", "--socket", munge / "socket", "--pid-file", munge / "pid"),
            *("--log-file", munge / "log", "--seed-file", munge / "seed"),
        )
        until((munge / "socket").exists, "munged")
        self._run("slurmctld", "-D", "-f", self.folder / "slurm.conf")
        self._run("slurmd", "-D", "-f", self.folder / "slurm.conf", "-N", _host())
        Path("/run/sshd").mkdir(exist_ok=True)
        sshd = shutil.which("sshd", path=_path())
        self._run(sshd, "-D", "-f", self.folder / "sshd_config", "-E", self.folder / "log" / "sshd.log")
        until(lambda: self.slurm("sinfo", "-h", "-o", "%T") == "idle", "an idle node")

    def stop(self) -> None:
        for job in self.jobs():
            self.slurm("scancel", job)
        with contextlib.suppress(TimeoutError):
            until(lambda: not self.jobs(), "the queue to be empty", 15)
        # Their parents have left them alone: sessions of sshd, SkyPilot's own processes on the node.
        end_all(lambda process: process.username() == LOGIN)
        for process in reversed(self._running):
            process.terminate()
        for process in reversed(self._running):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def slurm(self, *argv: str) -> str:
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.strip()

    def jobs(self) -> list[str]:
        """The ids of the jobs that wait or run."""
        return self.slurm("squeue", "-h", "-o", "%i").split()

    def names(self) -> dict[str, str]:
        """Of the jobs that wait or run, by their ids."""
        return dict(line.split(maxsplit=1) for line in self.slurm("squeue", "-h", "-o", "%i %j").splitlines())

    def _run(self, *argv: object) -> None:
        name = Path(str(argv[0])).name
        with (self.folder / "log" / f"{name}.out").open("wb") as out:
            self._running.append(
                subprocess.Popen(
                    [str(each) for each in argv],
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    # Ctrl-C in the terminal is for the tests; they stop what they started.
                    start_new_session=True,
                )
            )

    def _make_login(self) -> None:
        try:
            pwd.getpwnam(LOGIN)
        except KeyError:
            subprocess.run(["useradd", "-m", "-d", f"/srv/{LOGIN}", "-s", "/bin/bash", LOGIN], check=True)
            # Without PAM, sshd refuses an account that is locked, and one without a password is made so.
            subprocess.run(["usermod", "-p", "*", LOGIN], check=True)
        for name in ("host_ed25519", "client_ed25519"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)], check=True)
        keys = self.home / ".ssh" / "authorized_keys"
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        keys.write_bytes((self.folder / "client_ed25519.pub").read_bytes())
        keys.chmod(0o600)
        # /etc/profile sets PATH anew for a login shell.
        (self.home / ".profile").write_text(f"export PATH={self.shims}:$PATH\n")
        for path in (keys.parent, keys, self.home / ".profile"):
            shutil.chown(path, LOGIN, LOGIN)

    def _write_configuration(self) -> None:
        folder, host = self.folder, _host()
        devices = [Path(f"/dev/sweeptui-gpu{number}") for number in range(GPUS)]
        for device in devices:
            if not device.exists():
                # A GPU must be a character device; this one is another /dev/null.
                os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
        (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu Type=h100 File=/dev/sweeptui-gpu[0-{GPUS - 1}]\n")
        (folder / "slurm.conf").write_text(
            f"""\
ClusterName=sweeptui
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
MinJobAge=60
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={CPUS} RealMemory=200000 Gres=gpu:h100:{GPUS} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=1440 State=UP OverSubscribe=NO
"""
        )
        (folder / "sshd_config").write_text(
            f"""\
Port {self.ssh_port}
ListenAddress 127.0.0.1
HostKey {folder}/host_ed25519
PidFile {folder}/sshd.pid
AuthorizedKeysFile .ssh/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
AllowUsers {LOGIN}
UsePAM no
MaxSessions 500
MaxStartups 500:30:1000
Subsystem sftp internal-sftp
SetEnv SLURM_CONF={folder}/slurm.conf PATH={self.shims}:/usr/local/bin:/usr/bin:/bin
"""
        )


def end_all(ours: Callable[[psutil.Process], bool]) -> None:
    """Kill every process that is ours, each by its pid, until there is none."""
    for _ in range(5):
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if ours(process):
                    found.append(process)
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if not psutil.wait_procs(found, timeout=5)[1] and not found:
            return


def until(condition: Callable[[], object], what: str, limit_s: float = PATIENCE_S) -> None:
    """Wait for a condition. Raises TimeoutError."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s:g} s for {what}")
        time.sleep(0.1)


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _path() -> str:
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
