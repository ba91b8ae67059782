"""Signs of life, and the words of remarks."""

from twinsight import console


def test_a_pipe_gets_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(console, "SILENCE", 0.0)
    assert list(console.tracked(range(3), "reading", 3)) == [0, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["reading 0/3", "reading 1/3", "reading 2/3"]
    assert lines[-1].endswith(" left")


def test_what_is_done_at_once_needs_no_line(capsys):
    assert list(console.tracked(range(3), "reading", 3)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_a_notebook_gets_one_line_that_is_replaced_and_goes(monkeypatch):
    shown = []

    class Handle:
        def update(self, content, raw):
            shown.append(content["text/plain"])

    class Line(console.Line):
        def show(self, text):
            self.handle = Handle()
            self.handle.update({"text/plain": text}, raw=True)

    monkeypatch.setattr(console, "NOTEBOOK", True)
    monkeypatch.setattr(console, "Line", Line)
    monkeypatch.setattr("time.monotonic", iter(range(100)).__next__)
    assert list(console.counted(range(2), "reading", 2)) == [0, 1]
    assert shown == ["reading 0/2  0:00:02 left", "reading 1/2  0:00:02 left", ""]
