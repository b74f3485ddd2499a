"""The catalogue as people see it."""

import re

from beluga_nb.catalog import Listing, Model, find, labels, models
from beluga_nb.show.catalogue import models_table, sizes_table


def test_the_models_are_listed_with_what_they_take():
    lines = models_table(Listing(models()))["text/plain"].splitlines()
    assert len(lines) == 18
    assert lines[0].split() == ["model", "name", "provider", "sizes,", "and", "auto", "max", "per", "request"]
    assert " ".join(lines[1].split()) == "gpt-image-2 GPT-Image-2 OpenAI all 13 1"
    assert " ".join(lines[8].split()) == ("seedream-4.5 Seedream 4.5 ByteDance 1:1 16:9 9:16 4:3 3:4 4")


def test_the_sizes_are_listed_with_what_they_are_good_for():
    lines = sizes_table()["text/plain"].splitlines()
    assert len(lines) == 15
    assert " ".join(lines[2].split()) == "16:9 1536 × 864 thumbnails, banners, wallpapers"
    assert " ".join(lines[14].split()) == "auto the model decides"


def test_where_no_model_fits_that_is_reported():
    shown = models_table(Listing([], note="lab lists all of these."))
    assert shown["text/plain"] == "No model matches. Session.models() lists all.\nlab lists all of these."
    assert "<p>No model matches. Session.models() lists all.</p>" in shown["text/html"]


def test_both_tables_are_html_too():
    assert models_table(Listing(models()))["text/html"].count("<tr ") == 18
    assert sizes_table()["text/html"].count("<tr ") == 15


def test_each_shape_of_a_model_is_read_out_by_its_label():
    html = models_table(Listing([find("seedream-4.0")]))["text/html"]
    assert re.findall(r'<span role="img" aria-label="(.*?)"', html) == ["1:1", "16:9", "9:16", "4:3", "3:4"]


def test_the_shapes_of_all_sizes_are_drawn_once_above_the_table():
    html = models_table(Listing([find("flux-2.0"), find("seedream-4.0"), find("gpt-image-2")]))["text/html"]
    caption, rows = html.split("</caption>")
    assert re.findall(r'<span role="img" aria-label="(.*?)"', caption) == list(labels())
    assert re.findall(r"</span></span> ([\d:]+)</span>", caption) == list(labels())
    assert rows.count('role="img"') == len(find("seedream-4.0").sizes)
    assert rows.count("all 13<") == 2


def test_without_a_model_of_all_sizes_no_shape_is_above_the_table():
    html = models_table(Listing([find("seedream-4.0")]))["text/html"]
    assert "all 13" not in html


def test_the_sizes_of_a_model_are_its_own():
    lines = sizes_table("seedream-4.5")["text/plain"].splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["1:1", "16:9", "9:16", "4:3", "3:4", "auto"]


def test_a_model_that_the_catalogue_lacks_is_listed_with_how_to_ask_for_it():
    other = Model(id="flux-9", name="<b>Flux</b>", provider="Various", sizes=(), n_max=1)
    shown = models_table(Listing([], [other], "One line more."))
    assert shown["text/plain"].splitlines()[1].split()[:3] == ["flux-9", "<b>Flux</b>", "Various"]
    assert "not known here: --insist" in shown["text/plain"]
    assert shown["text/plain"].endswith("\nOne line more.")
    assert "<b>" not in shown["text/html"]
