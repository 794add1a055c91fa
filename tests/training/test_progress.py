"""Progress of a training, and requests to stop it."""

from sertk.training.progress import Progress, never


def test_new_progress_is_empty_and_shared_with_nobody():
    first, second = Progress(), Progress()
    first.history.append({"epoch": 1})
    assert (second.history, second.batch, second.sums, second.tensors) == ([], 0, {}, {})


def test_never_requests_no_stop():
    assert never() is False
