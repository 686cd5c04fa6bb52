"""docs/bucket.md tells what the code does."""

import json
import re

from imagegen_server.config.bucket import _LONGEST_SECONDS, BucketTable
from imagegen_server.store import bucket

from tests.support.docs_page import Page

PAGE = Page("bucket.md")


def test_the_page_names_every_key_of_the_bucket() -> None:
    """And no other; times and numbers are those of the code."""
    rows = PAGE.rows("obstore")
    told = [key for row in rows for key in Page.names(row[0])]

    assert told == list(BucketTable.model_fields)
    assert [f'`"{BucketTable(url="s3://abc").timeout:g}s"`'] == [row[1] for row in rows if row[0] == "`timeout`"]
    assert f'at most `"{_LONGEST_SECONDS:g}s"`' in PAGE.text
    assert f"{bucket._AT_ONCE} of each process at a time" in PAGE.sentences


def test_the_rule_of_the_page_is_for_the_prefix_of_the_example() -> None:
    """A rule for another prefix would delete nothing, or somebody else's."""
    (rule,) = json.loads(PAGE.text.partition("```json\n")[2].partition("```")[0])["Rules"]
    prefix = BucketTable(url=re.findall(r'url = "(s3://.+)"', PAGE.text)[0]).prefix

    assert rule["Filter"]["Prefix"] == f"{prefix}/"
