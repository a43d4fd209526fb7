"""The whole platform on one machine, in the foreground (`nexus dev`)."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nexus.cli.data_folder import MAIL_PORT, DataFolder, open_data_folder
from nexus.cli.echo import Echo
from nexus.cli.failures import CommandFailed
from nexus.cli.orphans import dies_with_parent
from nexus.cli.ports import LOOPBACK, free_port, require_free
from nexus.cli.progress import progress, say
from nexus.cli.supervised import SUPERVISED
from nexus.cli.supervisor import Child, ChildSpec, Supervisor
from nexus.cli.temporal_binary import find_temporal
from nexus.cli.temporal_server import retention_command, server_command
from nexus.cli.tokens import issue_token
from nexus.settings import Settings, default_data_dir, stored_secret

READY_WITHIN = 90.0
POLL_EVERY = 0.05

MAIL_PORT_WANTED = 1025

# As the channels' own modules have them, which take a while to load.
SETTINGS_FILE = "NEXUS_CHANNELS"
ALLOW_PRIVATE = "NEXUS_WEBHOOK_ALLOW_PRIVATE"

TENANT = "demo"
USER = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class DevOptions:
    """What `nexus dev` was asked for.

    Attributes:
        data_dir: Folder of databases, secret and logs.
        definitions: Watched folder of definitions.
        api_port: Port of the API.
        temporal_port: Port of Temporal's frontend.
        ui_port: Port of Temporal's Web UI.
        mail_port: Port of the mail catcher; None for 1025, or another one if that is taken.
        demo: Walk the demo pipelines once ready.
    """

    data_dir: Path
    definitions: Path
    api_port: int
    temporal_port: int
    ui_port: int
    mail_port: int | None = None
    demo: bool = False

    @property
    def api_url(self) -> str:
        """Base URL of the API."""
        return f"http://{LOOPBACK}:{self.api_port}"


def run_dev(options: DevOptions) -> None:
    """Starts everything, says where it is, and ends when asked to.

    Raises:
        CommandFailed: Something is in the way; the message says what to do about it.
    """
    if not options.definitions.is_dir():
        raise CommandFailed(
            f"there is no folder {options.definitions}: make it, or name another one with "
            "--definitions"
        )
    folder = open_data_folder(options.data_dir)
    require_free(
        {
            "--api-port": options.api_port,
            "--temporal-port": options.temporal_port,
            "--ui-port": options.ui_port,
            **({"--mail-port": options.mail_port} if options.mail_port else {}),
        }
    )
    settings = _settings(options, folder)
    temporal = find_temporal()
    with asyncio.Runner() as runner:
        runner.run(_Dev(options, folder, settings, temporal).run())


def _settings(options: DevOptions, folder: DataFolder) -> Settings:
    given = Settings.from_env({**os.environ, "NEXUS_DATA_DIR": str(folder.path)})
    return replace(
        given,
        jwt_secret=given.jwt_secret or folder.secret(),
        definitions=options.definitions.absolute(),
        temporal_address=f"{LOOPBACK}:{options.temporal_port}",
        web_ui_url=f"http://{LOOPBACK}:{options.ui_port}",
        mail_folder=folder.mails,
    )


class _Dev:
    """One run of the platform."""

    def __init__(
        self, options: DevOptions, folder: DataFolder, settings: Settings, temporal: Path
    ) -> None:
        self._options = options
        self._folder = folder
        self._settings = settings
        self._temporal = temporal
        self._supervisor = Supervisor(folder.logs)
        self._echo = Echo()
        self._end = asyncio.Event()
        self._mail_port = options.mail_port or free_port(MAIL_PORT_WANTED)
        # Whoever names settings of their own has them, whatever the data folder has.
        self._channels = os.environ.get(SETTINGS_FILE, "").strip() or str(folder.channels())

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(asked, self._asked_to_end)
        starting = asyncio.create_task(self._start())
        ending = asyncio.create_task(self._end.wait())
        try:
            await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await self._serve(ending)
        finally:
            starting.cancel()
            ending.cancel()
            self._end.set()
            await self._supervisor.stop()

    def _asked_to_end(self) -> None:
        if self._end.is_set():
            self._supervisor.kill()
        else:
            say("Ending …")
            self._end.set()

    async def _start(self) -> None:
        with progress("Starting Temporal, a worker and the API"):
            temporal = self._supervisor.start(
                ChildSpec(
                    name="temporal",
                    command=server_command(
                        self._temporal,
                        database=self._folder.temporal_database,
                        port=self._options.temporal_port,
                        ui_port=self._options.ui_port,
                    ),
                )
            )
            # Both wait for Temporal by themselves, so their imports need not. The API brings the
            # database up to date, as it has loaded all that this takes anyway; a worker that is
            # quicker tries again until it has.
            worker = self._supervisor.start(self._part("worker"))
            port = str(self._options.api_port)
            api = self._supervisor.start(
                self._part("api", "--host", LOOPBACK, "--port", port, "--migrate")
            )
            await self._ready(temporal, worker, api)

    def _part(self, name: str, *arguments: str) -> ChildSpec:
        return ChildSpec(
            name=name,
            command=[sys.executable, "-m", "nexus", name, *arguments],
            environment=self._environment(),
            echo=self._echo,
        )

    def _mail_catcher(self) -> ChildSpec:
        """Not among what is waited for: a mail that is too early is sent again."""
        arguments = ("--folder", str(self._folder.mails), "--port", str(self._mail_port))
        return self._part("mail-catcher", *arguments)

    def _environment(self) -> dict[str, str]:
        settings = self._settings
        return {
            SUPERVISED: "1",
            "NEXUS_DATA_DIR": str(settings.data_dir),
            "NEXUS_DATABASE_URL": settings.database_url,
            "NEXUS_DEFINITIONS": str(settings.definitions),
            "NEXUS_JWT_SECRET": settings.jwt_secret,
            "NEXUS_MAIL_FOLDER": str(self._folder.mails),
            MAIL_PORT: str(self._mail_port),
            SETTINGS_FILE: self._channels,
            # The demo's receiver listens on this machine.
            **({ALLOW_PRIVATE: "1"} if self._options.demo else {}),
            "NEXUS_TASK_QUEUE": settings.task_queue,
            "NEXUS_TEMPORAL_ADDRESS": settings.temporal_address,
            "NEXUS_TEMPORAL_NAMESPACE": settings.temporal_namespace,
            "NEXUS_WEB_UI_URL": settings.web_ui_url,
        }

    async def _ready(self, temporal: Child, worker: Child, api: Child) -> None:
        import httpx

        answer = "it does not answer"
        loop = asyncio.get_running_loop()
        until = loop.time() + READY_WITHIN
        async with httpx.AsyncClient(base_url=self._options.api_url, timeout=5) as client:
            while loop.time() < until:
                for child in (temporal, worker, api):
                    # What dies before it was well once will not get better.
                    if child.deaths:
                        raise CommandFailed(_stillborn(child))
                try:
                    response = await client.get("/readyz")
                    if response.status_code == 200:
                        return
                    answer = response.text.strip()
                except httpx.TransportError:
                    pass
                await asyncio.sleep(POLL_EVERY)
        raise CommandFailed(
            f"the API is not ready after {READY_WITHIN:.0f} s ({answer}): see the logs in "
            f"{self._folder.logs}"
        )

    async def _serve(self, ending: asyncio.Task[bool]) -> None:
        self._supervisor.start(self._mail_catcher())
        print(self._welcome(), flush=True)
        if self._echo.remarks:
            log = self._folder.logs / "api.log"
            say(f"{self._echo.remarks} remarks on the definitions stand in {log}.\n")
        self._echo.everything_is_ready()
        retention = await self._run(
            retention_command(
                self._temporal,
                address=self._settings.temporal_address,
                namespace=self._settings.temporal_namespace,
            ),
            quiet=True,
        )
        demo = None
        if self._options.demo:
            demo = await self._run(
                [sys.executable, "-m", "nexus", "demo", "--url", self._options.api_url]
            )
        await ending
        for process in (retention, demo):
            if process is not None and process.returncode is None:
                process.kill()

    async def _run(
        self, command: Sequence[str], *, quiet: bool = False
    ) -> asyncio.subprocess.Process:
        output = asyncio.subprocess.DEVNULL if quiet else None
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **self._environment()},
            preexec_fn=dies_with_parent(os.getpid()),
        )

    def _welcome(self) -> str:
        return welcome(
            self._settings,
            self._options.api_url,
            self._mail_port,
            issue_token(self._settings.jwt_secret, tenant=TENANT, user=USER, roles=["admin"]),
        )


def welcome(settings: Settings, url: str, mail_port: int, token: str) -> str:
    """What a person is told once everything runs: where it is, and a first call to copy.

    Args:
        settings: What the parts were told.
        url: Base URL of the API.
        mail_port: Where mails are caught.
        token: A token to begin with.
    """
    body = (
        '{"definition": "sales-pipeline", "subject": {"type": "lead", "id": "ann"}, '
        '"data": {"score": 60}}'
    )
    return f"""Nexus is ready.

  API          {url}  (its documentation: {url}/docs)
  Temporal     {settings.web_ui_url}
  Mails        {url}/v1/mails  (caught at port {mail_port}; none is delivered)
  Definitions  {settings.definitions}
  Data         {settings.data_dir}

A token for tenant {TENANT}, user {USER}, role admin:

  export TOKEN={token}

The command that makes others{secret_hint(settings)}:

  {token_command(settings)}

A first instance:

  curl -s {url}/v1/instances -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' \\
    -d '{body}'

Ctrl-C ends everything; the next start finds it as it was.
"""


def token_command(settings: Settings) -> str:
    """The whole command that makes a token, as a shell takes it in whatever folder it stands."""
    command = Path(sys.executable).with_name("nexus")
    words = [str(command)] if command.is_file() else [sys.executable, "-m", "nexus"]
    words += ["token", "--tenant", TENANT, "--user", "ann", "--role", "rep"]
    if settings.data_dir != default_data_dir():
        words += ["--data-dir", str(settings.data_dir)]
    return shlex.join(words)


def secret_hint(settings: Settings) -> str:
    """What that command needs besides, where the secret is not the data folder's."""
    if stored_secret(settings.data_dir) == settings.jwt_secret:
        return ""
    return " (with NEXUS_JWT_SECRET set as it is here)"


def _stillborn(child: Child) -> str:
    words = child.log.last_words()
    return (
        f"{child.spec.name} does not stay up{f' ({words})' if words else ''}: its log is "
        f"{child.log.path}"
    )
