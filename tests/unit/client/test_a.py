from tests.unit.client.fake import X
def test_a() -> None:
    assert X == 1
