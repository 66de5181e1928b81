"""The curves of a training."""

from weaver_tt.figures.history import draw_history

EPOCHS = {
    epoch: {
        "train/loss": 1.0 / (epoch + 1),
        "val/loss": 1.5 / (epoch + 1),
        "val/auc": 0.9,
        "learning_rate": 0.1,
        "rows_train/read": 5.0,
        "data_wait": 0.1,
    }
    for epoch in range(2, 5)
}


def test_each_metric_has_a_panel_with_both_passes_and_the_best_epoch():
    figure = draw_history(EPOCHS, best_epoch=3)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_ylabel() for axes in panels] == ["loss", "auc", "learning rate"]
    training, validation, best = panels[0].get_lines()
    assert training.get_xydata().tolist() == [[2, 1 / 3], [3, 0.25], [4, 0.2]]
    assert validation.get_xydata().tolist() == [[2, 0.5], [3, 0.375], [4, 0.3]]
    assert best.get_xdata() == [3, 3]
    # of auc there is validation alone
    assert len(panels[1].get_lines()) == 2


def test_of_very_many_metrics_the_first_are_shown():
    epochs = {0: {f"val/auc_{i}": 0.5 for i in range(40)} | {"learning_rate": 0.1}}
    panels = [axes for axes in draw_history(epochs, 0).axes if axes.get_visible()]
    assert len(panels) == 12
    assert panels[-1].get_ylabel() == "learning rate"


def test_a_single_epoch_has_one_tick():
    figure = draw_history({3: EPOCHS[3]}, best_epoch=3)
    ticks = figure.axes[0].get_xticks()
    assert set(ticks) <= {2, 3, 4}
    assert 3 in ticks
    assert len(figure.axes[0].get_xticks(minor=True)) == 0
