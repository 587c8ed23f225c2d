"""The token survey: tokens outside the sample are predicted."""

from dataset_helpers import survey_of

from l2t_hub.dataset.token_survey import predict_tokens


def test_tokens_outside_the_sample_are_predicted_from_bytes_by_task() -> None:
    survey = survey_of([(100, 0)] * 6, known=False)
    survey["task"] = [0, 0, 1, 1, 2, -1]
    survey["bytes"] = [100, 300, 100, 200, 50, 10]
    survey["raw_tokens"][[0, 2]], survey["task_tokens"][[0, 2]] = (20, 30), (60, 90)
    raw_tokens, task_tokens = predict_tokens(survey)
    assert raw_tokens.tolist() == [20, 75, 30, 50, 12.5, 2.5]
    assert task_tokens.tolist() == [60, 180, 90, 180, 37.5, 0], (
        "task 2 is not in the sample, and -1 is no task"
    )
