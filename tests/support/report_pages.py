"""Pages of the report for its tests: made of made-up documents, and read as a browser's parser reads them."""

from __future__ import annotations

import base64
import html.parser
import io
import json

import numpy as np
from PIL import Image

from tests.support import report_documents


class Elements(html.parser.HTMLParser):
    """The page as a browser's parser sees it: elements with their attributes, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts, self.text, self.inside = [], [], [], None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.text.append(data)


def draw_images(document, k=3, seed=0, shape=None):
    random = np.random.default_rng(seed)
    return random.uniform(-1, 1, (len(document["entries"]), k, *(shape or document["shape"]))).astype(np.float32)


def draw_traces(document, images, seed=1):
    random = np.random.default_rng(seed)
    traces = []
    for entry, final in zip(document["entries"], images, strict=True):
        x = random.normal(size=(entry["steps"] + 1, *final.shape)).astype(np.float32)
        x[-1] = final
        traces.append({"x": x, "x0": random.uniform(-1, 1, (entry["steps"], *final.shape)).astype(np.float32)})
    return traces


def make_small_document(recipes=("ddpm", "ddim"), steps=(3, 5), **more):
    return report_documents.document(recipes, steps, n=4, shape=(1, 8, 8), **more)


def read_data(text):
    return json.loads(Elements(text).scripts[0])


def decode_pixels(uri):
    head, _, body = uri.partition(",")
    assert head in ("data:image/webp;base64", "data:image/png;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("RGB")).astype(float)
