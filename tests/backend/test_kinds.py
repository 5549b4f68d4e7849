"""Objects by kind, and evaluation runs with their predictions and scores, as the newer routes have them."""

from __future__ import annotations

import pytest
from local_backend import PROJECT

SOURCE = "import weave\n\n\ndef score(self, output): return {'ok': True}\n"


class TestObjects:
    def test_a_dataset_is_one_that_weave_would_publish(self, local):
        made = local.ask("dataset_create", name="My Questions", rows=[{"q": 1}, {"q": 2}])
        assert (made.object_id, made.version_index) == ("my_questions", 0)
        assert local.read("my_questions").base_object_class == "Dataset"
        found = local.ask("dataset_read", object_id="my_questions", digest=made.digest)
        assert (found.name, found.description) == ("My Questions", None)
        digest = found.rows.rpartition("/")[2]
        assert [r.val for r in local.ask("table_query", digest=digest).rows] == [{"q": 1}, {"q": 2}]

    def test_code_reads_back_as_it_was_sent(self, local):
        op = local.ask("op_create", name="f", source_code=SOURCE)
        assert local.ask("op_read", object_id="f", digest=op.digest).code == SOURCE
        model = local.ask(
            "model_create", name="M", source_code=SOURCE, attributes={"temperature": 1}
        )
        found = local.ask("model_read", object_id="m", digest=model.digest)
        assert (found.source_code, found.attributes) == (SOURCE, {"temperature": 1})

    def test_scorers_and_evaluations_name_their_parts(self, local):
        scorer = local.ask("scorer_create", name="Right", op_source_code=SOURCE)
        made = local.ask(
            "evaluation_create",
            name="ev",
            dataset="weave:///local/p/object/d:x",
            scorers=[scorer.scorer],
        )
        found = local.ask("evaluation_read", object_id="ev", digest=made.digest)
        assert (found.scorers, found.trials) == ([scorer.scorer], 1)
        assert found.evaluate_op.startswith("weave:///local/p/op/Evaluation.evaluate:")
        read = local.ask("scorer_read", object_id="right", digest=scorer.digest)
        assert (
            local.server.refs_read_batch({"refs": [read.score_op]}).vals[0]["_type"]
            == "CustomWeaveType"
        )

    def test_a_list_has_the_latest_of_each_and_of_its_kind_only(self, local):
        for rows in ([{"q": 1}], [{"q": 2}]):
            local.ask("dataset_create", name="d", rows=rows)
        local.ask("dataset_create", name="e", rows=[])
        local.ask("op_create", name="f")
        assert [d.version_index for d in local.ask("dataset_list")] == [1, 0]
        assert [d.object_id for d in local.ask("dataset_list", limit=1, offset=1)] == ["e"]
        assert [o.object_id for o in local.ask("op_list")] == ["f"]
        assert local.ask("dataset_delete", object_id="d", digests=None).num_deleted == 2
        assert [d.object_id for d in local.ask("dataset_list")] == ["e"]

    def test_a_name_without_a_letter_names_nothing(self, local):
        from weave.trace.errors import InvalidRequest

        with pytest.raises(InvalidRequest):
            local.ask("op_create", name="!?")

    def test_a_name_means_objects_of_one_class(self, local):
        from weave.trace.errors import ObjectNameTypeCollision

        local.ask("dataset_create", name="x", rows=[])
        with pytest.raises(ObjectNameTypeCollision, match="already used by a Dataset"):
            local.publish("x", {"plain": True})
        local.ask("dataset_delete", object_id="x")
        local.publish("x", {"plain": True})


class TestRuns:
    @pytest.fixture
    def run_id(self, local):
        made = local.ask(
            "evaluation_run_create", evaluation=f"weave:///{PROJECT}/object/ev:1", model=MODEL
        )
        return made.evaluation_run_id

    def test_a_run_goes_from_start_to_summary(self, local, run_id):
        scorer = f"weave:///{PROJECT}/object/Right:1"
        for n in (0, 1):
            prediction = local.ask(
                "prediction_create",
                model=MODEL,
                inputs={"q": n},
                output=n,
                evaluation_run_id=run_id,
            ).prediction_id
            made = {"scorer": scorer, "value": n, "evaluation_run_id": run_id}
            score = local.ask("score_create", prediction_id=prediction, **made).score_id
            local.ask("prediction_finish", prediction_id=prediction)
        assert local.ask("evaluation_run_read", evaluation_run_id=run_id).status == "running"
        local.ask("evaluation_run_finish", evaluation_run_id=run_id, summary={"note": "done"})
        run = local.ask("evaluation_run_read", evaluation_run_id=run_id)
        assert (run.status, run.summary["note"], run.model) == ("success", "done", MODEL)
        assert local.server.call_read({"project_id": PROJECT, "id": run_id}).call.output == {
            "Right": {"mean": 0.5}
        }
        found = local.ask("prediction_read", prediction_id=prediction)
        assert (found.inputs, found.output, found.evaluation_run_id) == ({"q": 1}, 1, run_id)
        assert local.ask("score_read", score_id=score).value == 1
        [feedback] = local.server.feedback_query(
            {"project_id": PROJECT, "query": on(prediction)}
        ).result
        assert (feedback["runnable_ref"], feedback["payload"]) == (scorer, {"output": 1})

    def test_lists_are_of_a_run(self, local, run_id):
        for run in (run_id, None):
            local.ask("prediction_create", model=MODEL, inputs={}, output=1, evaluation_run_id=run)
        assert len(list(local.ask("prediction_list"))) == 2
        assert len(list(local.ask("prediction_list", evaluation_run_id=run_id))) == 1
        assert [r.evaluation_run_id for r in local.ask("evaluation_run_list", models=[MODEL])] == [
            run_id
        ]
        assert list(local.ask("evaluation_run_list", filter={"models": ["other"]})) == []

    def test_deleting_a_run_deletes_what_is_in_it(self, local, run_id):
        local.ask("prediction_create", model=MODEL, inputs={}, output=1, evaluation_run_id=run_id)
        local.ask("evaluation_run_delete", evaluation_run_ids=[run_id])
        assert list(local.ask("prediction_list")) == []

    @pytest.mark.parametrize("kind", ["evaluation_run", "prediction", "score"])
    def test_what_is_not_there_is_not_found(self, local, kind):
        from weave.trace.errors import NotFoundError

        with pytest.raises(NotFoundError, match="nope"):
            local.ask(f"{kind}_read", **{f"{kind}_id": "nope"})


MODEL = f"weave:///{PROJECT}/object/M:1"


def on(call_id):
    ref = {"$literal": f"weave:///{PROJECT}/call/{call_id}"}
    return {"$expr": {"$eq": [{"$getField": "weave_ref"}, ref]}}
