"""Runs one part of the platform in this process: the API, a worker, or what calls channels."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from nexus.cli.database import upgrade_database
from nexus.cli.failures import CommandFailed, platform_module
from nexus.cli.logs import configure_logging
from nexus.settings import Settings, TemporalSettings

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.worker import Worker

    from nexus.channels import Channels

# Longer than the pauses of clients and of load balancers, which keep a minute.
KEEP_ALIVE = 75
CONNECT_PAUSE = 1.0

_log = logging.getLogger("nexus")


def run_api(settings: Settings, *, host: str, port: int, migrate: bool = False) -> NoReturn:
    """Serves HTTP until this process is asked to end; does not return.

    Args:
        settings: What the API is told.
        host: Address to listen on.
        port: Port to listen on.
        migrate: Bring the database up to date first.
    """
    import uvicorn

    configure_logging()
    create_app = platform_module("api.app").create_app
    if migrate:
        upgrade_database(settings)

    class Server(uvicorn.Server):
        """A server that leaves the signals to this module."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    server = Server(
        uvicorn.Config(
            create_app(settings.require_secret()),
            host=host,
            port=port,
            loop="uvloop",
            http="httptools",
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=5,
            access_log=False,
            log_config=None,
        )
    )

    async def serve() -> None:
        on_end(lambda: setattr(server, "should_exit", True))
        await server.serve()

    uvicorn_loop = server.config.get_loop_factory()
    with asyncio.Runner(loop_factory=uvicorn_loop) as runner:
        try:
            runner.run(serve())
        except SystemExit:
            end_process(1)
    end_process(0 if server.started else 1)


def run_worker(settings: Settings) -> NoReturn:
    """Works on the task queue until this process is asked to end; does not return."""
    configure_logging()
    asyncio.run(_work(settings.require_secret()))
    end_process(0)


def run_channels(settings: TemporalSettings) -> NoReturn:
    """Calls channels until this process is asked to end; does not return.

    Args:
        settings: Where Temporal is. This process needs no database and no secret of the platform;
            what channels need stands in the operator's file.
    """
    configure_logging()
    asyncio.run(_call_channels(settings))
    end_process(0)


async def _work(settings: Settings) -> None:
    channels = _load_channels() if settings.channels_in_worker else None
    engine = platform_module("storage.engine").create_engine(settings.database_url)
    projection = platform_module("activities.projection").ProjectionActivities(engine)
    authentication = platform_module("activities.authentication").AuthenticationActivities(
        settings.jwt_secret
    )
    build_worker = platform_module("workflows.worker").build_worker
    end = asyncio.Event()
    on_end(end.set)
    client = await connect_patiently(settings, end)
    if client is None:
        return
    workers = [
        build_worker(
            client,
            settings.task_queue,
            activities=[projection.project, authentication.authenticate],
        )
    ]
    if channels is not None:
        workers.append(_channel_worker(client, settings, channels))
    _log.info("working on the task queue %s", settings.task_queue)
    await _run_until(end, workers)
    if channels is not None:
        await channels.close()


async def _call_channels(settings: TemporalSettings) -> None:
    channels = _load_channels()
    end = asyncio.Event()
    on_end(end.set)
    client = await connect_patiently(settings, end)
    if client is None:
        return
    worker = _channel_worker(client, settings, channels)
    _log.info(
        "calling channels (%s) on the task queue %s",
        ", ".join(sorted(channels.seen_by(None).names())),
        worker.task_queue,
    )
    await _run_until(end, [worker])
    await channels.close()


def _load_channels() -> Channels:
    """All channels that are installed; one that cannot be used stops the start."""
    channels: Channels = platform_module("nexus.channels").load_channels()
    return channels


def _channel_worker(client: Client, settings: TemporalSettings, channels: Channels) -> Worker:
    activities = platform_module("activities.channels").ChannelActivities(channels)
    worker: Worker = platform_module("workflows.worker").build_channel_worker(
        client, settings.task_queue, [activities.call_channel]
    )
    return worker


async def _run_until(end: asyncio.Event, workers: Sequence[Worker]) -> None:
    """Runs workers until they are asked to end, and ends all of them."""
    running = [asyncio.create_task(worker.run()) for worker in workers]
    ending = asyncio.create_task(end.wait())
    await asyncio.wait({*running, ending}, return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        if task.done():
            ending.cancel()
            task.result()
            raise CommandFailed("the worker ended by itself")
    # What is in flight is handed back within Temporal's own timeouts if this takes too long.
    await asyncio.wait({asyncio.create_task(worker.shutdown()) for worker in workers}, timeout=6)


async def connect_patiently(settings: TemporalSettings, end: asyncio.Event) -> Client | None:
    """Connects to Temporal, as soon as it is there.

    Args:
        settings: Where Temporal is.
        end: Set when there is no more need; the answer is None then.
    """
    from temporalio.client import Client
    from temporalio.contrib.pydantic import pydantic_data_converter
    from temporalio.service import RPCError

    waiting = False
    while not end.is_set():
        try:
            return await Client.connect(
                settings.temporal_address,
                namespace=settings.temporal_namespace,
                data_converter=pydantic_data_converter,
            )
        except (RuntimeError, RPCError) as error:
            if not waiting:
                waiting = True
                _log.info("waiting for Temporal at %s (%s)", settings.temporal_address, error)
            await asyncio.wait({asyncio.create_task(end.wait())}, timeout=CONNECT_PAUSE)
    return None


def on_end(act: Callable[[], object]) -> None:
    """Does something once this process is asked to end."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, act)
    # A part of `nexus dev` ignores Ctrl-C from its first moment on.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGINT, act)


def end_process(code: int) -> NoReturn:
    """Ends this process without the interpreter's own end, in which Temporal's core can abort."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
