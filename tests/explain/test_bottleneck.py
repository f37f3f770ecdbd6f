import pytest
import torch

from inversesr.explain.bottleneck import LEVEL, central_box, make_block
from tests.explain.conftest import make_task
from tests.support.problems import generator


def noise_of(opened, seed=0):
    start = opened.block.start
    return opened.block.unseen(torch.randn(start.shape, generator=generator(seed)))


def test_without_a_shift_the_network_gives_what_it_gives_unopened(opened):
    r = noise_of(opened)
    expected = opened.block.unseen(opened.denoise(r, LEVEL))
    torch.testing.assert_close(opened.at(r).reconstruct(), expected)


def test_a_shift_changes_the_image_and_shifting_twice_starts_from_the_same(opened):
    base = opened.at(noise_of(opened))
    shift = torch.randn(base.features.shape, generator=generator(1))
    first, second = base.reconstruct(shift), base.reconstruct(shift)
    assert torch.equal(first, second)
    assert float((first - base.reconstruct()).abs().max()) > 1e-4


@pytest.mark.parametrize("axis", ["R", "A", "S"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.45, 0.45, 0.45)])
def test_a_change_of_a_block_leaves_the_scan_as_it_is(axis, spacing):
    task = make_task(axis, spacing)
    block = make_block(task, torch.ones(task.fine.shape), 16)
    change = block.in_scan(torch.randn(block.start.shape, generator=generator()))
    assert change.shape == task.fine.shape
    assert float(task.A(change).abs().max()) < 1e-5 * float(change.abs().max())
    assert float(change.abs().max()) > 0.1 * block.white


def test_outside_its_block_a_change_is_nothing(opened):
    block = opened.block
    placed = block.placed(torch.ones_like(block.start))
    assert float(placed.sum()) == block.start.numel()
    assert float(placed[block.box].min()) == 1.0


def test_the_slices_of_a_block_lie_as_those_of_the_scan_do(opened):
    block = opened.block
    whole = block.slices.geometry
    assert block.geometry.first_centre == whole.first_centre - block.box[2].start
    assert block.geometry.spacing == whole.spacing


def test_what_is_unseen_in_a_block_is_in_none_of_its_whole_slices(opened):
    block = opened.block
    v = noise_of(opened)
    torch.testing.assert_close(block.unseen(v), v, atol=1e-5, rtol=1e-4)
    whole = torch.zeros(block.task.fine.shape)
    whole[block.box] = v
    seen = block.task.A(whole)
    assert float(seen[block.box[:2]][:, :, 3:5].abs().max()) < 1e-5


def test_a_block_is_central_and_no_longer_than_was_said():
    inside = torch.zeros((40, 30, 20))
    inside[10:30, 0:8, 5:15] = 1.0
    box = central_box(inside > 0.5, 16)
    assert [(side.start, side.stop) for side in box] == [(12, 28), (0, 8), (2, 18)]
    empty = central_box(inside > 2.0, 16)
    assert [side.stop - side.start for side in empty] == [16, 16, 16]


def test_the_faces_of_a_block_are_not_its_interior(opened):
    inside = opened.block.interior()
    assert float(inside.sum()) == 8**3
    assert float(inside[4:-4, 4:-4, 4:-4].min()) == 1.0
