import torch

from twinsight.probes.segmentation.confusion import confusion_plot
from twinsight.segmentation.metrics import Scores


def texts(figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_rows_are_shares_of_the_true_class_and_absent_classes_are_left_out():
    matrix = torch.tensor([[3, 1, 0], [0, 0, 0], [0, 0, 0]])
    figure = confusion_plot(Scores(matrix), ("road", "car", "sky")).figure()
    [axis] = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["road", "car"]
    assert texts(figure) == ["75", "25"]


def test_many_classes_show_no_numbers():
    figure = confusion_plot(Scores(torch.eye(30, dtype=torch.int64)), [f"class {i}" for i in range(30)]).figure()
    assert not texts(figure)
