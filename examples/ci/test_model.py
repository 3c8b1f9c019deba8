"""The same gate as a test: `pytest test_model.py`, or `pytest --audit audit_target.py`."""


def test_the_model_can_be_trained(audit):
    report = audit("audit_target.py", profile="quick")

    assert report.verdict == "pass"
