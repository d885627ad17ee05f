"""Work on other machines: a Dask cluster, whose futures survive workers that are lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from codec.errors import ClusterFailed

_ANSWER = "20s"  # how long a cluster may take to answer
_WAITING = 2  # pieces of work for each thread of the workers: one is on its way while one is worked on

Result = TypeVar("Result")


class Cluster:
    """A Dask cluster that runs. Files' bytes go to its workers and results come back, so that nothing need be shared;
    files are read and written here alone. Raises ImportError and ClusterFailed."""

    def __init__(self, address: str) -> None:
        from distributed import Client

        try:
            self._client = Client(address, set_as_default=False, timeout=_ANSWER)
        except (OSError, ValueError) as error:
            raise ClusterFailed(
                f"no Dask cluster answers at {address} ({error}): start dask scheduler there"
            ) from error

    @property
    def slots(self) -> int:
        """How many pieces of work are to be given to it at once."""
        return _WAITING * max(sum(self._client.nthreads().values()), 1)

    def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What the function returns, or raises, on a worker; on another one where that is lost meanwhile."""
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        future = self._client.submit(function, *arguments, pure=False)
        try:
            return future.result()
        except (KilledWorker, FutureCancelledError) as error:
            raise ClusterFailed(f"its workers were lost again and again ({error}): look into their logs") from error
        finally:
            future.release()
