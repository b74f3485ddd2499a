"""Metrics that trained models compute; `docs/metrics.md` describes each.

`score` takes an object of these classes. The weights are a name on the Hugging Face hub or your own
path, and their name is a part of the version that is recorded. They are loaded when the first picture is
measured: a replay needs neither weights nor torch. Only what you name on the hub is downloaded.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import unicodedata
import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any, ClassVar

from beluga_nb.errors import BelugaError, RequestError
from beluga_nb.hints import Code, Hint
from beluga_nb.images import encode, flatten
from beluga_nb.paths import path_of
from beluga_nb.process.locks import ProcessLock
from beluga_nb.result import Recipe
from beluga_nb.text import sanitize, shown

if TYPE_CHECKING:
    from PIL.Image import Image

OPPOSITES: Mapping[str, tuple[str, str]] = {"quality": ("Good photo.", "Bad photo.")}
"""What CLIP-IQA compares a picture with: for each name, a text for a high value, and one for a low value."""

PATIENCE = 60.0
"""Seconds that reading a picture's text may take."""

_LOADING = ProcessLock()


@dataclass(frozen=True)
class _Learned(ABC):
    """A metric of a model; it runs on a GPU if there is one, or on the `device` that you name.

    `processor` is where the model's image processor and tokenizer are, if not beside its weights.
    """

    model: str | Path
    processor: str | Path | None = field(default=None, kw_only=True)
    revision: str | None = field(default=None, kw_only=True)
    device: str | None = field(default=None, kw_only=True)
    batch_size: int = field(default=16, kw_only=True)

    modules: ClassVar[Collection[str]] = ("torch", "transformers")

    @property
    def version(self) -> str:
        """The version of the formula, the name of the weights, and the options that change a value."""
        weights = _name(self.model) + (f"@{self.revision}" if self.revision else "")
        processor = f"with {_name(self.processor)}" if self.processor else ""
        return " ".join(filter(None, ["1", weights, processor, *self._options()]))

    def _options(self) -> Iterable[str]:
        return ()

    def check(self) -> None:
        """Raise `BelugaError` where a package is missing, and `RequestError` where there are no weights."""
        if missing := [name for name in self.modules if find_spec(name) is None]:
            raise BelugaError(
                f"{type(self).__name__} needs {' and '.join(missing)}, which you have not installed.",
                Hint(Code("pip install 'beluga_nb[metrics]'")),
            )
        self._load()

    def batch(self, images: Sequence[Image], recipes: Sequence[Recipe | None]) -> Sequence[object]:
        """Return the value of each picture."""
        import torch

        prompts = [recipe.request.prompt for recipe in recipes if recipe]
        with torch.inference_mode():
            return self._measure([flatten(image) for image in images], prompts)

    @abstractmethod
    def _load(self) -> Any: ...
    @abstractmethod
    def _measure(self, images: Sequence[Image], prompts: Sequence[str]) -> Sequence[object]: ...


class _OfPictures(_Learned):
    def __call__(self, image: Image) -> object:
        return self.batch([image], [None])[0]

    def _measure(self, images: Sequence[Image], prompts: Sequence[str]) -> Sequence[object]:
        del prompts
        return self._values(images)

    @abstractmethod
    def _values(self, images: Sequence[Image]) -> Sequence[object]: ...


class _OfPrompts(_Learned):
    def __call__(self, image: Image, recipe: Recipe) -> object:
        return self.batch([image], [recipe])[0]


class _CLIP(_Learned):
    def _load(self) -> Any:
        return _clip(_place(self.model), _place(self.processor or self.model), self.revision, self.device)

    def _embeddings(self, images: Sequence[Image], texts: Sequence[str]) -> tuple[Any, Any, float]:
        """Return the embeddings of pictures and of texts, each of length 1, and the model's scale."""
        model, processor, tokenizer = self._load()
        most = model.config.text_config.max_position_embeddings
        words = tokenizer(list(texts), padding=True, truncation=True, max_length=most, return_tensors="pt")
        pixels = processor(list(images), return_tensors="pt")["pixel_values"]
        found = model(pixel_values=pixels.to(model.device), **words.to(model.device))
        return found.image_embeds, found.text_embeds, float(model.logit_scale.exp())

    def _fit(self, images: Sequence[Image], prompts: Sequence[str]) -> tuple[Any, float, list[str]]:
        """Return the cosine of each picture and its prompt, the model's scale, and which prompts were cut."""
        pictures, texts, scale = self._embeddings(images, prompts)
        model, _, tokenizer = self._load()
        most = model.config.text_config.max_position_embeddings
        lengths = [len(tokens) for tokens in tokenizer(list(prompts), verbose=False)["input_ids"]]
        cut = [f"the prompt was cut: {each} tokens, of {most}" if each > most else "" for each in lengths]
        return (pictures * texts).sum(-1), scale, cut


class CLIPScore(_CLIP, _OfPrompts):
    """How well a picture fits its prompt: 100 times the cosine of their CLIP embeddings, 0 to 100.

    Hessel et al., "CLIPScore: A Reference-free Evaluation Metric for Image Captioning", EMNLP 2021.
    """

    def _measure(self, images: Sequence[Image], prompts: Sequence[str]) -> Sequence[object]:
        cosines, _, cut = self._fit(images, prompts)
        return _with_reasons((100 * cosines).clamp(min=0).tolist(), cut)


class PickScore(_CLIP, _OfPrompts):
    """How well people would like a picture for its prompt: higher is better, for one prompt.

    Kirstain et al., "Pick-a-Pic: An Open Dataset of User Preferences for Text-to-Image Generation", NeurIPS
    2023: the cosine of the embeddings of a CLIP that was trained on choices of people, times its scale.
    """

    def _measure(self, images: Sequence[Image], prompts: Sequence[str]) -> Sequence[object]:
        cosines, scale, cut = self._fit(images, prompts)
        return _with_reasons((scale * cosines).tolist(), cut)


@dataclass(frozen=True)
class CLIPIQA(_CLIP, _OfPictures):
    """How much a picture is like one text and not its opposite, 0 to 1: of "Good photo." and "Bad photo.".

    Wang et al., "Exploring CLIP for Assessing the Look and Feel of Images", AAAI 2023. With several pairs of
    texts in `opposites`, it gives a number for each by name.
    """

    opposites: Mapping[str, tuple[str, str]] = field(default_factory=lambda: OPPOSITES, kw_only=True)

    def _options(self) -> Iterable[str]:
        return [f"{name}: {high} / {low}" for name, (high, low) in sorted(self.opposites.items())]

    def _values(self, images: Sequence[Image]) -> Sequence[object]:
        texts = [text for pair in self.opposites.values() for text in pair]
        pictures, words, _ = self._embeddings(images, texts)
        logits = (100 * pictures @ words.T).reshape(len(images), -1, 2)
        found = [dict(zip(self.opposites, row, strict=True)) for row in logits.softmax(-1)[..., 0].tolist()]
        return [next(iter(values.values())) if len(values) == 1 else values for values in found]


class Features(_OfPictures):
    """The features of a picture that a vision transformer has in its class token, for `scores.kid(by=…)`."""

    def _load(self) -> Any:
        return _vision(_place(self.model), _place(self.processor or self.model), self.revision, self.device)

    def _features(self, images: Sequence[Image]) -> Any:
        model, processor = self._load()
        pixels = processor(list(images), return_tensors="pt")["pixel_values"]
        return model(pixel_values=pixels.to(model.device)).last_hidden_state[:, 0]

    def _values(self, images: Sequence[Image]) -> Sequence[object]:
        rows = self._features(images).cpu().tolist()
        return [{f"{place:04}": value for place, value in enumerate(row)} for row in rows]


@dataclass(frozen=True)
class _ToReference(_Learned):
    reference: Image

    def __post_init__(self) -> None:
        from PIL.Image import Image  # Lazy import: a replay of other metrics does not need Pillow.

        if not isinstance(self.reference, Image):
            raise RequestError(
                f"The reference is {shown(self.reference, 60)}, which is no PIL image.",
                "Open a file with Image.open(…), or give picture.image of a picture.",
            )
        object.__setattr__(self, "reference", flatten(self.reference))

    def _options(self) -> Iterable[str]:
        pixels = self.reference.tobytes() + str(self.reference.size).encode()
        return ["to", hashlib.sha256(pixels).hexdigest()[:12]]


@dataclass(frozen=True)
class DINO(_ToReference, Features):
    """How similar a picture is to a reference picture: the cosine of their DINO features, -1 to 1.

    Ruiz et al., "DreamBooth", CVPR 2023, measure with DINO how far a picture shows the same subject.
    """

    def _values(self, images: Sequence[Image]) -> Sequence[object]:
        import torch

        reference, *others = self._features([self.reference, *images])
        cosines = torch.nn.functional.cosine_similarity(torch.stack(others), reference[None])
        found: list[object] = cosines.tolist()
        return found


@dataclass(frozen=True)
class LPIPS(_ToReference, _OfPictures):
    """How different a picture looks from a reference picture: 0 for the same one, higher is more different.

    Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018. Both
    are scaled to squares of `size` pixels. `model` is a file of torchvision's weights of the `network`
    ("alex", "vgg" or "squeeze"), or of all weights of a `lpips.LPIPS`.
    """

    network: str = field(default="alex", kw_only=True)
    size: int = field(default=256, kw_only=True)

    modules: ClassVar[Collection[str]] = ("torch", "lpips")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "model", Path(self.model))

    def _options(self) -> Iterable[str]:
        return [self.network, f"{self.size} px", *super()._options()]

    def _load(self) -> Any:
        return _lpips(_place(self.model), self.network, self.device)

    def _values(self, images: Sequence[Image]) -> Sequence[object]:
        import torch

        model, device = self._load()

        def tensor(image: Image) -> Any:
            scaled = image.resize((self.size, self.size))
            flat = torch.frombuffer(bytearray(scaled.tobytes()), dtype=torch.uint8)
            return flat.reshape(self.size, self.size, 3).permute(2, 0, 1).to(device) / 127.5 - 1

        pictures = torch.stack([tensor(image) for image in images])
        found: list[object] = (
            model(pictures, tensor(self.reference)[None].expand_as(pictures)).flatten().tolist()
        )
        return found


@dataclass(frozen=True)
class QuotedText:
    """How much of the text that a prompt quotes tesseract reads in the picture, 0 to 1.

    Case and white space do not matter. The reason is what was read. `data` is a folder of your own trained
    data, and `layout` is tesseract's `--psm`: 11 finds text anywhere.
    """

    language: str = "eng"
    data: str | Path | None = field(default=None, kw_only=True)
    layout: int = field(default=11, kw_only=True)

    modules: ClassVar[Collection[str]] = ()
    batch_size: ClassVar[int] = 1

    @property
    def version(self) -> str:
        """The version of the formula, the name of the trained data, and the layout."""
        return " ".join(
            [
                "1",
                "tesseract",
                *([Path(self.data).name] if self.data else []),
                self.language,
                str(self.layout),
            ]
        )

    def check(self) -> None:
        """Raise `BelugaError` where tesseract is missing."""
        if not shutil.which("tesseract"):
            raise BelugaError(
                "QuotedText needs the program tesseract, which is not installed.",
                "Install it, such as the package tesseract-ocr of Debian, or tesseract of Homebrew.",
            )

    def __call__(self, image: Image, recipe: Recipe) -> tuple[float, str]:
        wanted = quoted(recipe.request.prompt)
        if not wanted:
            raise RequestError(
                "The prompt quotes no text.", 'Put the text into quotation marks: a sign that says "OPEN".'
            )
        read = self._read(image)
        lost = sum(_edits(_letters(text), _letters(read)) for text in wanted)
        return 1 - lost / sum(len(_letters(text)) for text in wanted), f"read: {read.strip() or 'nothing'}"

    def batch(self, images: Sequence[Image], recipes: Sequence[Recipe | None]) -> Sequence[object]:
        """Return the value of each picture."""
        return [self(image, recipe) for image, recipe in zip(images, recipes, strict=True) if recipe]

    def _read(self, image: Image) -> str:
        self.check()
        data = ["--tessdata-dir", str(path_of(self.data))] if self.data else []
        words = ["tesseract", "stdin", "stdout", "-l", self.language, "--psm", str(self.layout), *data]
        picture = encode(flatten(image), "PNG")
        done = subprocess.run(words, input=picture, capture_output=True, timeout=PATIENCE)
        if done.returncode:
            why = sanitize(done.stderr.decode(errors="replace"), 200)
            raise RequestError(f"tesseract failed: {why}", "Install the data of its language.")
        return done.stdout.decode(errors="replace")


def quoted(prompt: str) -> list[str]:
    """Return the texts in quotation marks.

    >>> quoted('a sign that says "OPEN" and “24 h”, it\\'s late')
    ['OPEN', '24 h']
    """
    marks = ('"([^"]*)"', "“([^“”]*)”", "„([^„“”]*)[“”]", "«([^«»]*)»", "「([^「」]*)」")
    pairs = (*marks, r"(?<!\w)‘([^‘’]*)’(?!\w)")  # as an apostrophe, ’ stands beside a letter
    found = [(match.start(), match[1]) for pair in pairs for match in re.finditer(pair, prompt)]
    return [text for _, text in sorted(found) if _letters(text)]


def _letters(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _edits(text: str, read: str) -> int:
    """Return in how many letters a text differs from the part of what was read that is most like it.

    Sellers, "The theory and computation of evolutionary distances: pattern recognition", 1980.
    """
    row = [0] * (len(read) + 1)  # it may begin anywhere
    for number, letter in enumerate(text, 1):
        above, row = row, [number]
        for place, other in enumerate(read, 1):
            row.append(min(above[place - 1] + (letter != other), above[place] + 1, row[-1] + 1))
    return min(row)  # and end anywhere


def _with_reasons(values: Sequence[float], reasons: Sequence[str]) -> list[object]:
    return [(value, why) if why else value for value, why in zip(values, reasons, strict=True)]


def _is_path(model: str | Path) -> bool:
    return (
        isinstance(model, PurePath) or model[:1] in {".", "~", "/"} or "\\" in model or model.count("/") > 1
    )


def _name(model: str | Path) -> str:
    """Return the name of weights without the folders that they are in, which differ between computers."""
    return PureWindowsPath(model).name if _is_path(model) else str(model)


def _place(model: str | Path) -> str:
    if not _is_path(model):
        return str(model)
    if not (path := path_of(model)).exists():
        raise _not_loaded(str(model), "there is no such file or folder")
    return str(path)


def _device(named: str | None) -> Any:
    import torch

    if named is None:
        return torch.device(torch.accelerator.current_accelerator(check_available=True) or "cpu")
    try:
        return torch.empty(0, device=named).device
    except Exception as error:  # each kind of device raises another class
        raise RequestError(
            f"The device '{sanitize(named, 60)}' cannot be used: {sanitize(str(error), 200).rstrip('.')}.",
            'Leave device out, or name one that torch has here, such as "cpu".',
        ) from error


def _clip(model: str, processor: str, revision: str | None, device: str | None) -> tuple[Any, Any, Any]:
    """Return a CLIP, its image processor and its tokenizer."""
    from transformers import CLIPModel

    with _LOADING:
        found = _model(model, revision, device)
        if not isinstance(found, CLIPModel):
            raise _not_loaded(model, f"they are those of {type(found).__name__}, not of CLIPModel")
        at = revision if processor == model else None
        return found, _image_processor(processor, at), _tokenizer(processor, at)


def _vision(model: str, processor: str, revision: str | None, device: str | None) -> tuple[Any, Any]:
    """Return a model of pictures, and its image processor."""
    with _LOADING:
        at = revision if processor == model else None
        return _model(model, revision, device), _image_processor(processor, at)


# The last ones stay loaded: each batch that a worker receives comes with a metric of its own.
@lru_cache(maxsize=4)
def _model(name: str, revision: str | None, device: str | None) -> Any:
    from transformers import AutoModel

    # Half precision would give other numbers.
    model, found = _part(AutoModel, name, revision, dtype="float32", output_loading_info=True)
    # Weights that were trained for another purpose have no pooler, and none is used here.
    if missing := [each for each in found["missing_keys"] if "pooler" not in each]:
        raise _not_loaded(name, f"{len(missing)} are missing, such as {sanitize(min(missing), 60)}")
    return model.eval().to(_device(device))


@lru_cache(maxsize=4)
def _image_processor(name: str, revision: str | None) -> Any:
    from transformers import AutoImageProcessor

    # If torchvision is installed, it would scale pictures in another way than Pillow does.
    return _part(AutoImageProcessor, name, revision, backend="pil")


@lru_cache(maxsize=4)
def _tokenizer(name: str, revision: str | None) -> Any:
    from transformers import AutoTokenizer

    return _part(AutoTokenizer, name, revision)


def _part(kind: Any, name: str, revision: str | None, **options: Any) -> Any:
    """Return what transformers makes of a folder, or of a name on the hub."""
    try:
        return kind.from_pretrained(name, **options, **({"revision": revision} if revision else {}))
    except Exception as error:  # the hub, the files and the model raise many classes
        raise _not_loaded(name, sanitize(str(error), 200)) from error


def _lpips(path: str, network: str, device: str | None) -> tuple[Any, Any]:
    """Return an LPIPS with the weights of a file, and its device."""
    with _LOADING:
        return _lpips_model(path, network, device)


@lru_cache(maxsize=4)
def _lpips_model(path: str, network: str, device: str | None) -> tuple[Any, Any]:
    import lpips
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lpips calls torchvision in an old way
            model = lpips.LPIPS(net=network, pnet_rand=True, verbose=False)
        state = torch.load(path, map_location="cpu", weights_only=True)
        if "features.0.weight" in state:  # torchvision's: lpips brings its own layers on top of it
            own = model.state_dict()
            layers = {key: key.split(".", 2)[2] for key in own if key.startswith("net.")}
            state = own | {key: state[f"features.{layer}"] for key, layer in layers.items()}
        model.load_state_dict(state)
    except Exception as error:  # as in `_part`
        raise _not_loaded(path, sanitize(f"{type(error).__name__}: {error}", 200)) from error
    return model.eval().to(_device(device)), _device(device)


def _not_loaded(name: str, why: str) -> RequestError:
    return RequestError(
        f"The weights '{sanitize(_name(name), 60)}' cannot be used: {why.rstrip('.')}.",
        "docs/metrics.md says which weights the metric takes, and from where.",
    )
