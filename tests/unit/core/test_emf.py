"""EMF lines: what CloudWatch would refuse must not be in them."""

import json

from modelmill.core.watch.emf import dimension_value, emf_line


def test_names_of_any_script_become_dimensions_that_cloudwatch_takes() -> None:
    line = json.loads(emf_line(0, {"model": "评论", "version": "1"}, {"Requests": (1, "Count")}))
    assert line["model"].isascii()
    assert line["model"] == dimension_value("评论") != dimension_value("评价")
    assert dimension_value("reviews-2.1") == "reviews-2.1"
