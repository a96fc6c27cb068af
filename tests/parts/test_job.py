"""The images of a block are those of the run, whoever draws them."""

import numpy as np
import pytest

import dtool
from dtool.errors import UsageError
from dtool.parts import Block, Job, divide, draw_block, for_each_block
from tests.support import block_functions
from tests.support.block_functions import open_gaussians
from tests.support.commandline import network


def test_blocks_together_are_the_run():
    net = network()
    whole = dtool.sample(net, "ddpm", steps=3, n=11, seed=4)
    job = Job(model=net, plans="ddpm", steps=3, count=11, seed=4, size=4)
    drawn = [draw_block(job, block) for block in job.blocks]
    assert np.concatenate([out.x0 for out in drawn]).tobytes() == whole.x0.tobytes()
    assert np.concatenate([out.labels for out in drawn]).tolist() == whole.labels.tolist()
    assert np.concatenate([out.ids for out in drawn]).tolist() == list(range(11))


def test_classes_are_repeated_by_id():
    job = Job(model=network(), plans="ddim", steps=2, count=7, size=3, labels=[2, 0])
    assert [draw_block(job, block).labels.tolist() for block in job.blocks] == [[2, 0, 2], [0, 2, 0], [2]]


def test_workers_draw_the_same_bits():
    job = Job(model=open_gaussians, plans=dtool.plan("ddpm", steps=4), count=10, size=3, seed=1)
    one, two = (
        np.concatenate(list(for_each_block(job, block_functions.draw, job.blocks, workers=workers)))
        for workers in (1, 2)
    )
    assert one.tobytes() == two.tobytes()


def test_the_hash_of_a_job_follows_what_its_images_depend_on():
    net = network()
    base = Job(model=net, plans="ddim", steps=2, count=7)
    assert base.model_hash == Job(model=network(), plans="ddim", steps=2, count=9, size=2).model_hash
    others = [{"labels": [1]}, {"options": {"clip": True}}, {"options": {"guidance": 2.0}}]
    hashes = {Job(model=net, plans="ddim", steps=2, count=7, **each).model_hash for each in others}
    assert (
        len(hashes | {base.model_hash, Job(model=network(classes=4), plans="ddim", steps=2, count=7).model_hash}) == 5
    )
    assert base.plan_hash == dtool.plan("ddim", steps=2, network=net).hash


def test_a_network_in_memory_stays_in_its_process():
    job = Job(model=network(), plans="ddim", steps=2, count=7, size=2)
    with pytest.raises(UsageError, match="a network in memory cannot be given to other processes"):
        list(for_each_block(job, draw_block, job.blocks, workers=2))


def test_a_block_of_another_division_is_drawn_as_well():
    job = Job(model=network(), plans="ddim", steps=2, count=7, size=2)
    assert draw_block(job, Block(3, 5)).ids.tolist() == [3, 4, 5]
    assert job.blocks[1] == divide(7, 2)[1]
