"""modelmill.aws.records.pipelines: a run is recorded once, reports its stages in order and is closed once."""

from concurrent.futures import ThreadPoolExecutor

from modelmill.aws.records import pipelines

RUN = "20261124T080000-0123456789"


def start(run_id: str = RUN, dataset: str = "reviews") -> bool:
    upload = {"bucket": "uploads", "key": f"default/{dataset}/{run_id}/reviews.csv"}
    return pipelines.start("default", run_id, {"dataset": dataset, "upload": upload})


def test_a_run_starts_once_however_often_it_is_told() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda _: start(), range(8))) == [False] * 7 + [True]
    run = pipelines.get("default", RUN)
    assert run is not None
    assert (run["status"], run["stages"], run["dataset"]) == ("RUNNING", [], "reviews")


def test_another_tenant_does_not_see_it() -> None:
    start()
    assert pipelines.get("other", RUN) is None
    assert pipelines.latest("other", 10) == []
    assert not pipelines.finish("other", RUN, "FAILED", {})


def test_the_first_close_stands() -> None:
    start()
    assert pipelines.finish("default", RUN, "SUCCEEDED", {"reason": None, "task": "text-classification"})
    assert not pipelines.finish("default", RUN, "FAILED", {"reason": {"code": "late", "message": "late"}})
    run = pipelines.get("default", RUN)
    assert run is not None
    assert (run["status"], run["reason"], run["task"]) == ("SUCCEEDED", None, "text-classification")
    assert run["started"] <= run["ended"]


def test_stages_come_in_the_order_of_the_life_cycle_and_keep_their_start() -> None:
    start()
    pipelines.report_stage("default", RUN, "select", "RUNNING")
    pipelines.report_stage("default", RUN, "train", "RUNNING", candidate="mlp", fraction=0.5, message="epoch 3")
    pipelines.report_stage("default", RUN, "train", "RUNNING", candidate="linear")
    pipelines.report_stage("default", RUN, "preprocess", "RUNNING")
    began = pipelines.stages("default", RUN)[0]["started"]
    pipelines.report_stage("default", RUN, "preprocess", "SUCCEEDED", message="100 rows", detail={"rows": 100})
    stages = pipelines.stages("default", RUN)
    assert [(stage["stage"], stage["candidate"]) for stage in stages] == [
        ("preprocess", None),
        ("train", "linear"),
        ("train", "mlp"),
        ("select", None),
    ]
    assert stages[0]["started"] == began
    assert (stages[0]["fraction"], stages[0]["detail"], stages[0]["ended"] is None) == (1.0, {"rows": 100}, False)
    assert (stages[2]["fraction"], stages[2]["message"], stages[2]["ended"]) == (0.5, "epoch 3", None)


def test_a_stage_that_was_running_fails_with_its_run() -> None:
    start()
    pipelines.report_stage("default", RUN, "preprocess", "SUCCEEDED", message="fine")
    pipelines.report_stage("default", RUN, "train", "RUNNING", candidate="mlp", message="epoch 3")
    pipelines.finish("default", RUN, "FAILED", {"reason": {"code": "timed_out", "message": "it took too long"}})
    stages = pipelines.stages("default", RUN)
    assert [(stage["status"], stage["message"]) for stage in stages] == [
        ("SUCCEEDED", "fine"),
        ("FAILED", "it took too long"),
    ]


def test_no_stage_runs_on_when_its_run_was_cancelled_meanwhile() -> None:
    """A function goes on to its end, though the execution that called it was stopped."""
    start()
    pipelines.report_stage("default", RUN, "preprocess", "RUNNING")
    pipelines.finish("default", RUN, "CANCELLED", {"reason": {"code": "cancelled", "message": "cancelled by me"}})
    pipelines.report_stage("default", RUN, "preprocess", "RUNNING", fraction=0.4, message="parts read")
    pipelines.report_stage("default", RUN, "train", "RUNNING", candidate="mlp")
    assert [(s["stage"], s["status"], s["message"]) for s in pipelines.stages("default", RUN)] == [
        ("preprocess", "FAILED", "cancelled by me")
    ]


def test_the_newest_runs_come_first_and_can_be_filtered() -> None:
    for minute in range(6):
        start(f"20261124T08{minute:02}00-0123456789", "reviews" if minute % 2 else "adult")
    assert [run["id"][11:13] for run in pipelines.latest("default", 3)] == ["05", "04", "03"]
    assert [run["id"][11:13] for run in pipelines.latest("default", 2, dataset="adult")] == ["04", "02"]
    key = "default/reviews/20261124T080100-0123456789/reviews.csv"
    assert [run["upload"]["key"] for run in pipelines.latest("default", 9, upload_key=key)] == [key]
