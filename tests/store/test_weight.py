import nbformat
import pytest

from beluga_nb.errors import StoreError
from beluga_nb.store.weight import weigh


def written(path, *outputs):
    cells = [nbformat.v4.new_code_cell("x", outputs=list(each)) for each in outputs]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def shown(**data):
    return nbformat.v4.new_output(
        "display_data", {kind.replace("_", "/"): text for kind, text in data.items()}
    )


HTML = f'<img src="data:image/jpeg;base64,{"A" * 999_000}" alt="a"><img src="https://example.com/x.png">'


def test_a_notebook_says_what_its_pictures_weigh_and_where(tmp_path):
    path = written(
        tmp_path / "study.ipynb",
        [shown(text_html=HTML, image_jpeg="B" * 500_000, text_plain="one picture")],
        [shown(text_plain="1")],
        [shown(image_png="C" * 2_000_000), shown(image_png="C" * 500_000)],
    )
    weight = weigh(path)
    assert (weight.size, weight.pictures) == (path.stat().st_size, 3)
    found = "study.ipynb, as it was saved: 4.00 MB, of which 4.00 MB are 3 pictures; heaviest: cell 3 2.50 MB"
    assert str(weight).startswith(found)


def test_a_notebook_without_pictures_says_so(tmp_path):
    assert (
        str(weigh(written(tmp_path / "words.ipynb", [])))
        == "words.ipynb, as it was saved: 0.00 MB, no pictures"
    )


def test_what_is_no_notebook_is_an_error_that_names_it(tmp_path):
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(StoreError, match=r"broken\.ipynb is not a notebook"):
        weigh(tmp_path / "broken.ipynb")
    with pytest.raises(StoreError, match=r"gone\.ipynb cannot be read"):
        weigh(tmp_path / "gone.ipynb")
