"""What networks cost, as a table shows it."""

from weaver_tt.output.about import NetworkCost
from weaver_tt.report.cost import cost_columns, cost_content


def test_long_times_are_written_out_and_short_ones_have_three_digits():
    seconds = [1.2184, 0.0999876, 0.012345, 4e-6]
    costs = [cost_content(NetworkCost(training_step_seconds=time)) for time in seconds]
    cells = dict(cost_columns(costs))["training step [ms]"]
    assert cells == ["1,218", "100", "12.3", "0.004"]
