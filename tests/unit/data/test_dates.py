"""Dates: the format of a column is found, each cell becomes seconds, and what is no date is left alone."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmill.core.data.dates import DateFormat, date_format, says_time, seconds_of

moments = st.integers(-(20 * 365) * 86_400, 120 * 365 * 86_400).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


@pytest.mark.parametrize(
    ("values", "named", "name"),
    [
        (["2021-03-04", "2021-3-4"], False, "ymd"),
        (["2021/03/04 10:11"], False, "ymd"),
        (["2021.03.04"], False, "ymd"),
        (["2021-03-04T10:11:12.123456Z", "2021-03-04T10:11:12+08:00", "2021-03-04 10:11:12+0000"], False, "ymd"),
        (["04.03.2021", "31.12.2020 23:59"], False, "dmy"),
        (["13/04/2021", "03/04/2021"], False, "dmy"),
        (["04/13/2021", "03/04/2021"], False, "mdy"),
        (["03/04/2021"], False, "mdy"),
        (["03-04-2021"], False, "dmy"),
        (["3/4/21 5:06 PM"], False, "mdy"),
        (["2021年3月4日", "2021年12月31日"], False, "chinese"),
        (["2021年3月4日 10:11", "2021年3月4日10时11分12秒"], False, "chinese"),
        (["4 Mar 2021", "March 4, 2021", "04-Mar-21", "Thu, 04 Mar 2021 10:11:12 +0000"], False, "words"),
        (["Thu Mar 04 10:11:12 +0000 2021"], False, "words"),
        (["2021-03", "1999-12"], False, "month"),
        (["Dec-2011"], False, "month"),
        (["2021年3月"], False, "month"),
        (["20210304"], True, "compact"),
        (["20210304"], False, None),
        ([f"202101{day:02}" for day in range(1, 25)], False, "compact"),
        (["20210304101112"], True, "compact"),
        (["1614852672"], True, "seconds"),
        (["1614852672"], False, None),
        (["1614852672123"], True, "milliseconds"),
        (["10:11", "9:05:59", "12:01 am"], False, "time"),
        (["2021-02-30"], False, None),
        (["13/13/2021"], False, None),
        (["20211304"], True, None),
        (["1.2.3"], False, None),
        (["192.168.1.1"], False, None),
        (["12345678"], True, None),
        (["2021"], True, None),
        (["3-2"], False, None),
        (["25:00"], False, None),
        (["2021-03-04", "unknown"], False, None),
        ([], True, None),
        (["1,234"], True, None),
        (["010-1234-5678"], False, None),
        (["978-3-16-148410-0"], False, None),
        (["3/4"], False, None),
    ],
)
def test_the_format_of_a_column(values: list[str], named: bool, name: DateFormat | None) -> None:
    assert date_format(values, named=named) == name


@given(
    moments, st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d %I:%M:%S %p", "%Y.%m.%d %H:%M:%S.0"])
)
def test_moments_come_back(moment: datetime, form: str) -> None:
    assert seconds_of(moment.strftime(form), "ymd") == moment.timestamp()


@given(moments)
def test_one_day_in_every_format(moment: datetime) -> None:
    day = moment.replace(hour=0, minute=0, second=0)
    written: dict[DateFormat, str] = {
        "ymd": day.strftime("%Y-%m-%d"),
        "dmy": day.strftime("%d.%m.%Y"),
        "mdy": day.strftime("%m/%d/%Y"),
        "words": day.strftime("%d %b %Y"),
        "compact": day.strftime("%Y%m%d"),
        "chinese": f"{day.year}年{day.month}月{day.day}日",
    }
    assert {seconds_of(text, name) for name, text in written.items()} == {day.timestamp()}


def test_zones_and_clocks() -> None:
    assert seconds_of("2021-03-04T08:00+08:00", "ymd") == seconds_of("2021-03-04", "ymd")
    assert seconds_of("2021-03-03 17:00 -07:00", "ymd") == seconds_of("2021-03-04", "ymd")
    assert [seconds_of(text, "time") for text in ("0:00", "12:00 AM", "1:30 pm", "24:00", "24:01")] == [
        0,
        0,
        48_600,
        86_400,
        None,
    ]
    assert seconds_of("1614852672123", "milliseconds") == 1_614_852_672.123


@given(
    st.text("0123456789-/.: TZ年月日aApPmM", max_size=45), st.sampled_from(["ymd", "dmy", "words", "chinese", "time"])
)
def test_any_text_is_a_date_or_none(text: str, name: DateFormat) -> None:
    assert seconds_of(text, name) is None or isinstance(seconds_of(text, name), float | int)


def test_a_few_other_values_are_no_harm() -> None:
    days = [f"2021-{month:02}-{day:02}" for month in range(1, 11) for day in range(1, 11)]
    assert date_format([*days, "unknown"], named=False) == "ymd"
    assert date_format([*days[:20], "unknown"], named=False) is None


def test_names_that_speak_of_time() -> None:
    assert all(map(says_time, [("created", "at"), ("timestamp",), ("order", "date"), ("入院日期",)]))
    assert not any(map(says_time, [("amount",), ("name",), ("价格",)]))
