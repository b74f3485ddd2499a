"""Stores and notebooks for tests, made without a kernel."""

import json
import subprocess
from dataclasses import replace
from functools import partial

from drawings import ask, drawing, drawn

from beluga_nb.request import Request
from beluga_nb.result import Preview, Result
from beluga_nb.show.figures import bundle
from beluga_nb.show.preview import montage
from beluga_nb.store import sheets

SENTINEL = "Zebra-Sentinel"
MONDAY = 1_750_032_000  # 2025-06-16, midnight UTC
DAY = 24 * 60 * 60


def own_disk(folder):
    """Return the words that run a command where `folder` is a disk of 1 MiB, or None on a machine without."""
    mounting = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"'
    for means in ("--mount", "--map-root-user --mount"):
        words = ["unshare", *means.split(), "sh", "-c", mounting, str(folder)]
        try:
            if subprocess.run([*words, "true"], capture_output=True).returncode == 0:
                return words
        except FileNotFoundError:
            return None
    return None


def record(store, prompt="a fox", *, created=MONDAY, provider="wire", engine=drawing, **options):
    """Record what an engine draws and return the result, shown as the session shows it."""
    result = ask(engine, Request(**{"prompt": prompt, "model": "flux-2.0"} | options))
    pictures = tuple(_dated(picture, created) for picture in result.pictures)
    for picture in pictures:
        store.write(picture, picture.preview, provider=provider)
    return Result(result.request, pictures, partial(bundle, sheet=partial(_sheet, store)))


def _dated(picture, created):
    request = picture.recipe.request
    preview = Preview(drawn(request, request.sample, "JPEG", (32, 32)), "image/jpeg")
    return replace(picture, preview=preview, recipe=replace(picture.recipe, created=created))


def _sheet(store, parts):
    return sheets.sheet(store, parts, lambda: montage(parts), writing=True)


def notebook(path, *shown):
    """Write a notebook with a cell for each result that it shows."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "source": "%beluga",
            "metadata": {},
            "execution_count": number,
            "outputs": [
                {"output_type": "display_data", "metadata": {}, "data": dict(result._repr_mimebundle_())}
            ],
        }
        for number, result in enumerate(shown, 1)
    ]
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    return path


def everything(folder):
    """Every file of a folder, by its path, with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def mentions(folder, text):
    """The files that have a text in their name or bytes, capitals aside."""
    return [
        name for name, data in everything(folder).items() if text.lower() in name.lower() + str(data).lower()
    ]
