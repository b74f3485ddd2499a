"""Learned metrics on tiny random models, made here, give the numbers of the libraries that they are known by.

`tests/test_environments.py` runs this where torch and these libraries are installed, with the plugin
`without_cuda`. It leaves the recorded scores in the folder KEPT.
"""

import importlib
import json
import os
import re
import shutil
from pathlib import Path

import lpips
import numpy as np
import pytesseract
import pytest
import torch
import torchvision
from distributed import Client, LocalCluster
from PIL import Image, ImageDraw, ImageFont
from tiny_clip import SMALL, tokenizer
from torchmetrics.functional.image.lpips import _LPIPS
from torchmetrics.functional.multimodal import clip_image_quality_assessment, clip_score
from torchmetrics.image.kid import KernelInceptionDistance
from transformers import (
    BitImageProcessorPil,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    Dinov2Config,
    Dinov2Model,
    ViTConfig,
    ViTModel,
)

import beluga_nb
from beluga_nb.errors import RequestError
from beluga_nb.learned import CLIPIQA, DINO, LPIPS, CLIPScore, Features, PickScore, QuotedText
from beluga_nb.result import Result
from beluga_nb.session.session import Session

PROMPTS = ("a fox in the snow", "an owl at night", "a lighthouse")
OPPOSITES = {"quality": ("Good photo.", "Bad photo."), "brightness": ("Bright photo.", "Dark photo.")}
DIFFERENCES = {}
"""The largest difference of each metric from another library, as a part of the value or of 1."""


def agree(name, found, expected):
    """Assert that numbers agree to 1e-5, and write down how far they differ."""
    found, expected = list(found), list(expected)
    worst = max(abs(a - b) / max(1, abs(b)) for a, b in zip(found, expected, strict=True))
    DIFFERENCES[name] = max(worst, DIFFERENCES.get(name, 0))
    assert worst <= 1e-5, (name, found, expected)


torch.set_num_threads(1)  # more would wait for one another longer than they compute


def noise(seed, size=(48, 48)):
    pixels = torch.randint(0, 256, (*size[::-1], 3), dtype=torch.uint8, generator=torch.manual_seed(seed))
    return Image.fromarray(pixels.numpy())


def tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


async def painted(request):
    seed = sum(map(ord, request.prompt + request.model))
    return Result.of(request, [noise(seed + each) for each in request.samples], engine="noise")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a CLIP, two DINOs and the weights of an AlexNet."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    words = tokenizer()
    text = SMALL | {"vocab_size": len(words), "max_position_embeddings": 32}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    vision = SMALL | {"image_size": 16, "patch_size": 8}
    scaled = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    clip = CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    CLIPProcessor(CLIPImageProcessorPil(**scaled), words).save_pretrained(folder / "clip")
    for name in ("clip", "pick"):
        CLIPModel(clip).save_pretrained(folder / name)
    small = {each: SMALL[each] for each in SMALL if each != "projection_dim"} | {
        "image_size": 16,
        "patch_size": 8,
    }
    for name, config, model in (("dino", ViTConfig, ViTModel), ("dinov2", Dinov2Config, Dinov2Model)):
        model(config(**small)).save_pretrained(folder / name)
        BitImageProcessorPil(**scaled).save_pretrained(folder / name)
    features = torchvision.models.alexnet(weights=None).features.state_dict()
    torch.save({f"features.{name}": value for name, value in features.items()}, folder / "alexnet.pth")
    return folder


KEPT = Path(os.environ["KEPT"])
ASKED = [
    {"prompt": prompt, "model": model, "n": 4} for prompt in PROMPTS for model in ("flux-2.0", "gpt-image-2")
]


@pytest.fixture(scope="module")
def session():
    return Session(engine=painted, provider="painted", environ={}, folder=KEPT)


@pytest.fixture(scope="module")
def gallery(session):
    return session.gallery(*(session.generate(**asked) for asked in ASKED))


@pytest.fixture(scope="module")
def images(gallery):
    return [sample.picture.image for sample in gallery.samples]


@pytest.fixture(scope="module")
def prompts(gallery):
    return [sample.labels["prompt"] for sample in gallery.samples]


def scored(gallery, name, metric):
    scores = gallery.score(name, metric)
    assert not scores.errors, scores.errors[0].error
    return scores


def clip_processor(folder):
    """What makes tensors of a CLIP, with Pillow: torchvision would scale pictures in another way."""
    return CLIPProcessor(CLIPImageProcessorPil.from_pretrained(folder), tokenizer())


def upstream_clip(folder):
    """A CLIP whose features are tensors, as in the transformers that torchmetrics 1.9 was written for."""
    model, processor = CLIPModel.from_pretrained(folder), clip_processor(folder)

    class Older:
        config = model.config

        def to(self, device):
            model.to(device)
            return self

        def get_image_features(self, *arguments):
            return model.get_image_features(*arguments).pooler_output

        def get_text_features(self, *arguments):
            return model.get_text_features(*arguments).pooler_output

    return Older(), processor


def test_clip_score_is_that_of_torchmetrics(gallery, images, prompts, models):
    scores = scored(gallery, "CLIPScore", CLIPScore(models / "clip", batch_size=5))
    model = upstream_clip(models / "clip")
    with torch.inference_mode():
        expected = [
            float(clip_score(tensor(image), prompt, model_name_or_path=lambda: model))
            for image, prompt in zip(images, prompts, strict=True)
        ]
    agree("CLIPScore, torchmetrics", scores, expected)
    assert len({round(each, 3) for each in scores}) > 6


def test_a_prompt_that_is_too_long_is_cut_and_the_score_says_so(session, models):
    result = session.generate("a very long prompt of many words " * 9)
    [row] = scored(session.gallery(result), "CLIPScore", CLIPScore(models / "clip")).rows
    assert row.reason.startswith("the prompt was cut: ")
    assert row.reason.endswith(" tokens, of 32")


def test_pick_score_is_the_logit_of_transformers(gallery, images, prompts, models):
    metric = PickScore(models / "pick", processor=models / "clip", batch_size=7)
    scores = scored(gallery, "PickScore", metric)
    model, processor = CLIPModel.from_pretrained(models / "pick"), clip_processor(models / "clip")
    with torch.inference_mode():
        inputs = processor(text=prompts, images=images, return_tensors="pt", padding=True)
        expected = model(**inputs).logits_per_image.diagonal().tolist()
    agree("PickScore, transformers", scores, expected)


def test_clip_iqa_is_that_of_torchmetrics(gallery, images, models):
    stacked = torch.stack([tensor(image) for image in images]).float()
    for opposites in (OPPOSITES, {"quality": OPPOSITES["quality"]}):
        scores = scored(gallery, f"IQA {len(opposites)}", CLIPIQA(models / "clip", opposites=opposites))
        expected = clip_image_quality_assessment(
            stacked,
            model_name_or_path=lambda: upstream_clip(models / "clip"),
            data_range=1.0,
            prompts=tuple(opposites),
        )
        if len(opposites) == 1:
            agree("CLIP-IQA, torchmetrics", scores, expected.tolist())
        for name in scores.parts:
            agree("CLIP-IQA, torchmetrics", scores[name], expected[name].tolist())


@pytest.mark.parametrize(("name", "model"), [("dino", ViTModel), ("dinov2", Dinov2Model)])
def test_dino_is_the_cosine_of_class_tokens_of_transformers(name, model, gallery, images, models):
    reference = noise(7, (64, 48))
    scores = scored(gallery, name, DINO(models / name, reference, batch_size=9))
    network, processor = (
        model.from_pretrained(models / name),
        BitImageProcessorPil.from_pretrained(models / name),
    )
    with torch.inference_mode():
        first, *others = network(**processor([reference, *images], return_tensors="pt")).last_hidden_state[
            :, 0
        ]
    expected = [float(torch.cosine_similarity(first, other, dim=0)) for other in others]
    agree(f"{name}, transformers", scores, expected)
    agree(f"{name} of itself", [DINO(models / name, reference)(reference)], [1])


def test_lpips_is_that_of_lpips_and_of_torchmetrics(gallery, images, models):
    reference = noise(7, (64, 48))
    scores = scored(gallery, "LPIPS", LPIPS(models / "alexnet.pth", reference, size=64, batch_size=5))
    pictures = [tensor(image.resize((64, 64))).float()[None] / 127.5 - 1 for image in (reference, *images)]
    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    layers = torchvision.models.alexnet(weights=None)
    weights = torch.load(models / "alexnet.pth")
    layers.features.load_state_dict(
        {name.removeprefix("features."): value for name, value in weights.items()}
    )
    for part in (
        network.net.slice1,
        network.net.slice2,
        network.net.slice3,
        network.net.slice4,
        network.net.slice5,
    ):
        for place in part._modules:
            part._modules[place] = layers.features[int(place)]
    other = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
    other.net.load_state_dict(network.net.state_dict())
    with torch.inference_mode():
        for by, library in (("lpips", network), ("torchmetrics", other.eval())):
            expected = [float(library(each, pictures[0])) for each in pictures[1:]]
            agree(f"LPIPS, {by}", scores, expected)
    torch.save(network.state_dict(), models / "lpips.pth")  # all weights in one file give the same
    again = LPIPS(models / "lpips.pth", reference, size=64)
    agree("LPIPS, from its own file", map(again, images[:3]), scores[:3])
    assert again(reference) == 0


def test_kid_is_that_of_torchmetrics(gallery, images, models):
    features = scored(gallery, "features", Features(models / "dinov2"))
    [distance] = features.kid(by="model")
    network = Dinov2Model.from_pretrained(models / "dinov2")
    processor = BitImageProcessorPil.from_pretrained(models / "dinov2")
    with torch.inference_mode():
        rows = network(**processor(images, return_tensors="pt")).last_hidden_state[:, 0].double()
    of_model = [sample.labels["model"] for sample in gallery.samples]
    # With one subset of all pictures, its estimate is of the whole sets.
    theirs = KernelInceptionDistance(torch.nn.Identity(), subsets=1, subset_size=12).set_dtype(torch.double)
    for name, is_real in ((distance.one, True), (distance.other, False)):
        theirs.update(rows[[each == name for each in of_model]], real=is_real)
    agree("KID, torchmetrics", [distance.kid], [float(theirs.compute()[0])])


@pytest.mark.skipif(not shutil.which("tesseract"), reason="There is no tesseract.")
def test_quoted_text_is_what_tesseract_reads():
    sign = Image.new("RGB", (640, 240), "white")
    ImageDraw.Draw(sign).text((60, 80), "OPEN 24 HOURS", "black", ImageFont.load_default(64))

    async def signs(request):
        return Result.of(request, [sign], engine="sign")

    session = Session(engine=signs, environ={}, folder=KEPT)
    read = pytesseract.image_to_string(sign, config="--psm 11")
    for prompt, value in (
        ('"OPEN 24 HOURS"', 1),
        ('"open 24 hour"', 1),
        ('"OPEN 25 HOURS"', 10 / 11),
        ('"123"', 0),
    ):
        [row] = session.gallery(session.generate(f"a sign {prompt}")).score("text", QuotedText()).rows
        assert (row.value, row.reason) == (
            pytest.approx(value, abs=0.4 * (not value)),
            f"read: {read.strip()}",
        )


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (lambda models: CLIPScore(models / "nothing"), "'nothing' cannot be used"),
        (lambda models: CLIPScore(models / "dino"), "they are those of ViTModel"),
        (
            lambda models: LPIPS(models / "nothing.pth", noise(1)),
            "'nothing.pth' cannot be used: there is no such file or folder",
        ),
        (lambda models: LPIPS(models / "dino", noise(1)), "'dino' cannot be used: IsADirectoryError"),
        (
            lambda models: CLIPScore(models / "clip", device="meteor"),
            "The device 'meteor' cannot be used: Expected one of cpu(.|\n)*Leave device out",
        ),
    ],
)
def test_weights_and_devices_that_cannot_be_used_are_reported_once_before_anything_is_measured(
    metric, words, gallery, models
):
    with pytest.raises(RequestError, match=words):
        gallery.score("wrong", metric(models))


def documented(word):
    """The code of docs/metrics.md in which a word stands."""
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text("utf-8")
    [code] = [each for each in re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S) if word in each]
    return code


@pytest.mark.parametrize("word", ["CLIPScore", "Features"])
def test_the_documented_code_runs_as_it_stands(word, gallery, models, monkeypatch):
    of_the_hub = {"openai/clip-vit-base-patch32": "clip", "facebook/dinov2-small": "dinov2"}
    monkeypatch.setattr("beluga_nb.learned._place", lambda name: str(models / of_the_hub[name]))
    exec(documented(word), {"g": gallery})


@pytest.mark.skipif(not shutil.which("tesseract"), reason="There is no tesseract.")
def test_the_documented_signs_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"beluga_nb": beluga_nb}
    exec(documented("QuotedText"), names)
    assert not names["signs"].score("text", QuotedText()).errors


def test_workers_of_a_dask_cluster_measure_batches(gallery, models, tmp_path):
    metric = CLIPScore(models / "clip", batch_size=5)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, dashboard_address=None, local_directory=tmp_path
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(importlib.import_module, "without_cuda")
        scores = gallery.score("on a cluster", metric, executor=client)
    agree("CLIPScore, on a Dask cluster", scores, gallery.score("CLIPScore", metric))


def test_what_was_measured_is_written_down_to_be_replayed(gallery, models):
    scores = gallery.score("CLIPScore", CLIPScore(models / "clip"))
    [distance] = gallery.score("features", Features(models / "dinov2")).kid(by="model")
    written = {"asked": ASKED, "CLIPScore": list(scores), "KID": distance.kid, "differences": DIFFERENCES}
    (KEPT / "scores.json").write_text(json.dumps(written))
