"""The engine of many machines, or of all cores: Ray Data, with the members loaded once by every worker.

The command reads the files and keeps a few parcels of them in a queue; one task of Ray takes them out, workers decode
and answer them, and the answers come back in the order of the images. However many images there are, no more than
those on their way are in memory.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from facemask_ensemble.data.chunks import Chunk, Show, read_chunks
from facemask_ensemble.data.input_images import Item
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.choice import Choice
from facemask_ensemble.prediction.engines import Answer, Load
from facemask_ensemble.prediction.engines.cluster import GO_ON, joined, losses_explained, room
from facemask_ensemble.prediction.engines.feed import Feeder, Parcel
from facemask_ensemble.prediction.ensemble import Ensemble

if TYPE_CHECKING:
    import pyarrow as pa
    import ray

WAITING = 4  # parcels in the queue
TIMEOUT_SECONDS = 0.5  # seconds that the feeder waits for room before it looks whether it should end


def answer(
    choice: Choice,
    load: Load,
    items: Iterator[Item],
    show: Show | None,
    *,
    address: str | None,
    workers: int | None,
    cores: int,
    gpus: float,
) -> Iterator[Answer]:
    """Answer images on workers.

    Args:
        choice: the ensemble; its files lie where every machine finds them.
        load: how a worker loads it.
        items: the images, read here.
        show: None: nobody looks at images that are decoded elsewhere.
        address: of a running cluster, or `auto`; None starts a Ray of this machine, and ends it.
        workers: how many; None for as many as the cores suffice for.
        cores: for each.
        gpus: for each.

    Raises:
        InputError: no such cluster, too few cores, or a worker that failed; what came before is yielded first.
    """
    assert show is None
    if load.runtime.name != "keras":
        load(choice)  # what has to be converted is converted here, where validation images can be had to check it
    choice = replace(choice, sources=[replace(source, judged=None, learned=None) for source in choice.sources])
    with joined(address), losses_explained():
        import ray
        from ray.util.queue import Full, Queue

        count = room(ray.cluster_resources(), workers, cores, gpus)
        queue = Queue(WAITING)

        def put(parcel: Parcel | None) -> bool:
            try:
                queue.put(parcel, timeout=TIMEOUT_SECONDS)
            except Full:
                return False
            return True

        feeder = Feeder(items, put)
        feeder.start()
        try:
            answered = _dataset(queue).map_batches(
                Worker,
                fn_constructor_args=(choice, load, cores),
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=count),
                num_cpus=cores,
                num_gpus=gpus,
            )
            yield from _in_order(answered.iter_batches(batch_size=None, batch_format="pyarrow"), len(choice.sources))
        finally:
            feeder.end()
        if feeder.damage:
            raise feeder.damage


def _in_order(batches: Iterable[Any], members: int) -> Iterator[Answer]:
    """Unpack answers, which have to come in the order of the images.

    Raises:
        InputError: a worker refused, or some are missing, because the task that held their parcel was lost.
    """
    done = 0
    for batch in batches:
        for row in batch.to_pylist():
            if row["refusal"]:
                raise InputError(row["refusal"])
            chunk = Chunk(row["names"], row["reasons"], {}, [])
            if row["first"] != done:
                raise InputError(f"engine=ray: images from number {done + 1} on were lost in Ray; {GO_ON}")
            done += len(chunk.names)
            yield Answer(chunk, np.frombuffer(row["probs"], np.float32).reshape(members, len(chunk.names), -1), [])


class Worker:
    """A process with the members in memory, which answers parcels of images, a row of a table each.

    What is the user's to fix is sent back in place of an answer, since Ray would wrap it into errors of its own.
    """

    def __init__(self, choice: Choice, load: Load, cores: int) -> None:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(cores)
        self._ensemble: Ensemble | None = None
        self._refusal = ""
        try:
            self._ensemble = load(choice)
        except InputError as error:
            self._refusal = str(error)

    def __call__(self, table: "pa.Table") -> "pa.Table":
        """Answer the parcels of a table."""
        return _table([self._answer(Parcel(**row)) for row in table.to_pylist()])

    def _answer(self, parcel: Parcel) -> dict[str, Any]:
        row = {"first": parcel.first, "names": parcel.names, "reasons": parcel.reasons, "probs": b"", "refusal": ""}
        if self._ensemble is None:
            return row | {"refusal": self._refusal}
        try:
            (chunk,) = read_chunks(parcel.items(), self._ensemble.sizes, most=len(parcel.names))
            return row | {"reasons": chunk.reasons, "probs": self._ensemble.ask(chunk).tobytes()}
        except InputError as error:
            return row | {"refusal": str(error)}


def _table(rows: Iterable[dict[str, Any]]) -> "pa.Table":
    import pyarrow as pa

    words = pa.list_(pa.string())
    kinds = {"first": pa.int64(), "names": words, "reasons": words, "refusal": pa.string()}
    kinds |= {"files": pa.list_(pa.large_binary()), "probs": pa.large_binary()}
    rows = list(rows)
    return pa.table({name: pa.array([row[name] for row in rows], kinds[name]) for name in rows[0]})


def _dataset(queue: Any) -> "ray.data.Dataset":
    """Make a dataset of parcels, a row each, out of a queue."""
    import ray
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask

    def take() -> Iterator["pa.Table"]:
        while (parcel := queue.get()) is not None:
            yield _table([vars(parcel)])

    class FromQueue(Datasource):
        """A source that is read once, from beginning to end."""

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *given: Any, **known: Any) -> list[ReadTask]:
            return [ReadTask(take, BlockMetadata(None, None, None, None))]

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1  # a row is a block of its own
    context.enable_progress_bars = context.print_on_execution_start = False
    return ray.data.read_datasource(FromQueue(), override_num_blocks=1, num_cpus=0)  # it waits, most of the time
