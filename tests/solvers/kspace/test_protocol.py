from inversesr.solvers.kspace.protocol import Request, silent


def test_a_request_shows_no_progress_by_itself():
    assert Request(None).progress is silent
