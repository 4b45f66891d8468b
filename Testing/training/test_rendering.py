"""Images rendered ahead by other processes, and what a resumed training draws from."""

import multiprocessing
import re
import resource
import time
from dataclasses import replace

import pytest
import torch

from KneeSegLib.errors import InputError, OutputError, ResourceError
from KneeSegLib.training.clock import TrainingClock
from KneeSegLib.training.loop import Running, Training
from KneeSegLib.training.pool import Pool
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.rendering import NumberedRenderings, RenderingStream, Task, explain_dead_worker, mix_seed


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, geometric_knee):
    folder = tmp_path_factory.mktemp("prepared")
    for group in ("train", "validation"):
        replace(geometric_knee, group=group).save(folder / f"{group}.npz")
    return folder


@pytest.fixture(autouse=True)
def one_validation_image(monkeypatch):
    monkeypatch.setattr("KneeSegLib.training.feed.VALIDATION_RENDERS", 1)


def tiny(**changes):
    options = {"joints": ["knee"], "widths": [4, 6], "batch": 2, "pool": 5, "validate_every": 1000, "steps": 6}
    options |= {"slab_slices": 2, "neighbour_offsets_mm": [], "reuse": 1.0, "shapes": [[32, 32], [32, 48]]}
    return read_recipe("ct-knee", **{**options, **changes})


def train(recipe, prepared, folder, workers=0):
    training = Training(recipe, prepared, folder, Running(workers=workers))
    training.run(report=lambda line: None)
    return training.network.state_dict()


def same(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first.values(), second.values()))


def test_any_number_of_workers_gives_the_same_network(tmp_path, prepared):
    alone, one, two = (train(tiny(), prepared, tmp_path / str(n), workers=n) for n in (0, 1, 2))
    assert same(alone, one) and same(alone, two)
    assert not same(alone, train(tiny(seed=1), prepared, tmp_path / "other"))


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(tmp_path, prepared):
    constant = tiny(schedule="constant", steps=9)
    whole = train(constant, prepared, tmp_path / "whole")
    train(replace(constant, steps=5), prepared, tmp_path / "parts")
    assert same(whole, train(constant, prepared, tmp_path / "parts"))


def test_speed_and_what_is_waited_for_are_told(tmp_path, prepared):
    lines = []
    Training(tiny(), prepared, tmp_path).run(report=lines.append)
    told = [re.search(r"([\d.]+) steps and ([\d.]+) new images a second", line) for line in lines]
    speeds = next(found for found in told if found)
    assert float(speeds[1]) > 0.0 and float(speeds[2]) > 0.0
    shares = re.search(r"images (\d+) % and for the network (\d+) %", speeds.string)
    assert shares is not None and int(shares[1]) + int(shares[2]) == 100


def test_a_worker_that_dies_is_one_sentence(prepared):
    class Endless:
        def __init__(self):
            self.number = -1

        def __iter__(self):
            while True:
                self.number += 1
                yield Task(self.number)

    recipe = tiny()
    data = Training(recipe, prepared, prepared / "run").feed.renderings
    stream = RenderingStream(data, Endless(), 1)
    stream.take()
    with (
        pytest.raises(ResourceError, match="processes that render images has ended.*fewer --workers"),
        explain_dead_worker(1),
    ):
        for child in multiprocessing.active_children():
            child.kill()
        while True:
            stream.take()
            time.sleep(0.05)
    stream.close()


def test_an_error_in_a_worker_keeps_its_sentence():
    class Refusing:
        def render(self, shape, generator):
            raise InputError("The case cannot be read.")

    stream = RenderingStream(NumberedRenderings(tiny(), Refusing(), Refusing()), [Task(0)], 1)
    with pytest.raises(InputError, match=r"^The case cannot be read\.$"):
        stream.take()
    stream.close()


def test_a_file_that_cannot_be_written_is_one_sentence_and_the_last_checkpoint_stays(tmp_path, prepared):
    training = Training(tiny(steps=1), prepared, tmp_path)
    training.run(report=lambda line: None)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"larger than this process may write .*checkpoint\.pt was not written"):
            training.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if "part" in path.name) == []


def test_a_pool_keeps_the_newest_samples():
    pool = Pool(3)
    pool.add(7, [("a",), ("b",)])
    pool.add(8, [("c",), ("d",)])
    drawn = pool.draw(9, torch.Generator().manual_seed(0))
    assert sorted(drawn) == [("b",), ("c",), ("d",)] and pool.renderings == {7, 8} and pool.is_full


def test_a_schedule_by_time_runs_from_the_first_step_to_the_limit():
    clock = TrainingClock(110.0)
    assert clock.place_in_schedule(10.0) == (0, 100_000)
    assert clock.place_in_schedule(60.0) == (50_000, 100_000)
    resumed = TrainingClock(110.0)
    resumed.set_state(clock.get_state() | {"seconds": 60.0})
    assert resumed.place_in_schedule(resumed.seconds) == (50_000, 100_000)


def test_seeds_of_renderings_differ_by_training_and_number():
    seeds = {mix_seed(seed, number) for seed in (-1, 0, 1) for number in range(50)}
    assert len(seeds) == 150
