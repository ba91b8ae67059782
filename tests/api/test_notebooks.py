"""The notebooks run, in sizes of seconds; what is kept of them is small."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))
QUICK = {
    "from-20-masks-to-a-segmenter": """
images["count"], masked["val_count"] = 16, 8
pretrain_epochs = segment_epochs = val_every = 1
batch_size = 16
""",
    "see-what-your-images-teach-a-network": """
data.update(count=16, val_count=8)
epochs, batch_size = 1, 16
""",
}
"""What is run after the cell of parameters, as papermill would."""


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_runs(file, tmp_path):
    notebook = nbformat.read(file, 4)
    parameters = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    assert parameters == [1]
    notebook.cells.insert(2, nbformat.v4.new_code_cell(QUICK[file.stem]))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]  # no warning, no flood of lines
    assert all(
        sum(line.output_type == "stream" for line in cell.outputs) < 20
        for cell in notebook.cells[1:]
        if "outputs" in cell
    )


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_is_kept_small_and_with_its_results(file):
    notebook = nbformat.read(file, 4)
    nbformat.validate(notebook)
    assert file.stat().st_size < 600_000
    assert all(
        cell.outputs
        for cell in notebook.cells
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])
    )
    assert "/tmp" not in file.read_text()
    assert "Error" not in file.read_text()


def test_there_are_two():
    assert len(NOTEBOOKS) == 2
