from __future__ import annotations

import torch
from model_contract import open_session


def test_genres_are_predicted_by_the_linear_path_which_teaches_no_other_task(planted):
    session = open_session("MMASP", planted, tasks=["genre", "ranking"])
    model = session.model.train()
    model.tasks["genre"].linear.weight.data.fill_(0.1)
    model.calculate_loss(session.split.train.inter_feat)["genre_linear"].backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and (p.grad != 0).any()}
    assert reached == {"tasks.genre.linear.weight", "tasks.genre.linear.bias"}
    items = torch.arange(model.n_items)
    with torch.no_grad():
        before = model.eval().predict_genres(items)
        model.tasks["genre"].head.bias += 5.0
        assert torch.equal(model.predict_genres(items), before)

    model = open_session("MMASP", planted, genre_linear=False, genre_regression_weight=0).model.eval()
    assert model.tasks["genre"].linear is None
    with torch.no_grad():
        expected = torch.sigmoid(model.tasks["genre"].head(model.encoded().movies.of_task["genre"]))
        torch.testing.assert_close(model.predict_genres(items), expected)
