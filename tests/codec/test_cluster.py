"""The command line on a Dask cluster of two processes, one of which is killed in the middle."""

import json
import os
import signal
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image as Pillow

from codec.commands.cluster import Cluster
from codec.errors import ClusterFailed, UnreadableImage
from tests.codec.made_up import run
from tests.pictures import photograph

distributed = pytest.importorskip("distributed")
COUNT = 12


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as found:
        yield found


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(COUNT):
        planes = np.roll(photograph(24, 40), number, axis=2)
        Pillow.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0))).save(f"{number:02}.png")
    return sorted(path.name for path in tmp_path.glob("*.png"))


def test_a_worker_is_lost_and_nothing_else(cluster, pictures, tiny_bundle):
    victim = next(iter(cluster.workers.values())).pid

    def kill():
        while not list(Path().glob("*.lmc")):
            pass
        os.kill(victim, signal.SIGKILL)

    killer = Thread(target=kill)
    killer.start()
    rows = json.loads(
        run("compress", *pictures, "--dask", cluster.scheduler_address, "--model", tiny_bundle, "--json").stdout
    )
    killer.join()
    assert [row["input"] for row in rows] == pictures and all(row["verified"] for row in rows)
    assert sorted(path.name for path in Path().iterdir()) == sorted(
        [*pictures, *(f"{number:02}.lmc" for number in range(COUNT))]
    )
    run("verify", *sorted(Path().glob("*.lmc")), "--dask", cluster.scheduler_address, "--model", tiny_bundle)
    compressed = sorted(str(path) for path in Path().glob("*.lmc"))
    run("decompress", *compressed, "-o", "back", "--dask", cluster.scheduler_address, "--model", tiny_bundle)
    for name in pictures:
        assert Path("back", name).read_bytes() == Path(name).read_bytes()


def test_what_fails_there_is_told_here(cluster, pictures, tiny_bundle):
    Path("text.png").write_text("Dear sir or madam")
    settings = ["--dask", cluster.scheduler_address, "--model", tiny_bundle]
    result = run("compress", "text.png", pictures[0], *settings, code=1)
    assert "text.png: no picture in a format that is read" in result.stderr
    assert Path("00.lmc").exists()


def fail():
    raise UnreadableImage("of a kind")


def test_errors_keep_their_kind(cluster):
    there = Cluster(cluster.scheduler_address)
    assert there.slots == 4 and there.run(int, "7") == 7
    with pytest.raises(UnreadableImage, match="of a kind"):
        there.run(fail)


def test_no_cluster(monkeypatch):
    monkeypatch.setattr("codec.commands.cluster._ANSWER", "1s")
    with pytest.raises(ClusterFailed, match="no Dask cluster answers at"):
        Cluster("tcp://127.0.0.1:1")
