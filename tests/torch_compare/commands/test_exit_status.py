"""One exit status for many findings."""

from torch_compare.commands.check import exit_status
from torch_compare.commands.check_report import Checked


def test_the_gravest_finding_is_the_exit_status():
    class Stub:
        def __init__(self, status):
            self.status = status

    def status(*kinds, **options):
        unread = [Checked("case", reason="no result", missing=k == "missing") for k in kinds if k in ("missing", "bad")]
        return exit_status(
            [*unread, *(Checked("case", Stub(k)) for k in kinds if k not in ("missing", "bad"))], **options
        )

    assert status("agrees") == 0
    assert status("agrees", "unresolved") == 3
    assert status("agrees", "unresolved", "missing") == 2
    assert status("agrees", "unresolved", "missing", partial=True) == 3
    assert status("agrees", "bad", partial=True) == 2
    for kind in ("wrong", "imprecise", "another convention"):
        assert status("agrees", "unresolved", "missing", "bad", kind) == 1
    assert status("another convention", "unresolved", accept_conventions=True) == 3
    assert status("wrong", accept_conventions=True) == 1
    assert status() == status("missing", partial=True) == 2
