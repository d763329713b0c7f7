"""A Dask scheduler somewhere: connecting to it, and who its workers are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dask
from distributed import Client, Security
from distributed.comm.core import connect as connect_comm
from distributed.versions import VersionMismatchWarning

from bench.core.errors import ClusterError, first_line
from bench.system.files import writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.core.run import Workplace

CONNECT_SECONDS = 10.0
"""How long a scheduler may take to answer."""
GPU = "GPU"
"""Dask resource that a worker with an accelerator offers, one for each run that may train on it at once."""


@contextlib.contextmanager
def connect(address: str) -> Iterator[Client]:
    """A client as `make_client` gives it, as long as the context."""
    client = make_client(address)
    try:
        yield client
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            client.close(timeout=CONNECT_SECONDS)


def make_client(address: str) -> Client:
    """A client of the scheduler at `tcp://HOST:PORT`, or `tls://…` with the certificates that Dask's settings name.

    Raises:
        ClusterError: It does not answer.
    """
    if address.startswith("tls:") and not dask.config.get("distributed.comm.tls.ca-file", None):
        raise ClusterError(
            f"--cluster {address}: there is no certificate to trust; name the files by "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, …__TLS__CLIENT__CERT and …__TLS__CLIENT__KEY."
        )
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters becomes a message of ours
    warnings.simplefilter("ignore", VersionMismatchWarning)  # so does this one, where it matters
    try:
        asyncio.run(asyncio.wait_for(_knock(address), CONNECT_SECONDS))
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ImportError, ValueError, TypeError, RuntimeError) as fault:
        raise ClusterError(
            f"--cluster {address}: no scheduler answers ({first_line(fault)}); start one with: python -m dask scheduler"
        ) from fault


async def _knock(address: str) -> None:
    """Shake hands once.

    Dask would try for long where nobody listens, and wait for ever where somebody does who is no scheduler.
    """
    url = urlsplit(address)
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.close()
    comm = await connect_comm(address, timeout=CONNECT_SECONDS, **Security().get_connection_args("client"))
    await comm.close()


def list_members(client: Client, device: str) -> dict[str, Mapping[str, Any]]:
    """The workers that can train on a kind of device, by address, as the scheduler knows them this moment."""
    assert client.scheduler is not None  # noqa: S101 - a client that is connected has one
    identity = client.sync(client.scheduler.identity, n_workers=-1)  # what the client keeps is old, and at times empty
    workers: dict[str, Mapping[str, Any]] = dict(identity["workers"])
    return {a: w for a, w in workers.items() if device == "cpu" or float(w["resources"].get(GPU, 0)) >= 1}


@contextlib.contextmanager
def shown_results(workplace: Workplace) -> Iterator[str]:
    """A file in the results directory by which workers know whether they see that directory; its name."""
    token = f".cluster-{secrets.token_hex(8)}"
    path = workplace.results / token
    with writing(workplace.results):
        path.touch()
    try:
        yield token
    finally:
        path.unlink(missing_ok=True)
