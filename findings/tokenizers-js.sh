#!/usr/bin/env bash
# @huggingface/tokenizers 0.2.0 (npm, on Node.js 20) beside tokenizers 0.22.1 (PyPI); 2026-11-30, Linux x86-64.
#
# One tokenizer.json, two readers of the same makers, two answers. The normalizer Lowercase maps each letter by itself in
# Python, so that a Σ becomes σ wherever it stands; in JavaScript the whole text is lowered, and a Σ at the end of a word
# becomes ς. And the file's own `truncation` and `padding`, which Python applies, JavaScript leaves out: a program that
# feeds a network of a fixed length must cut off and fill up by itself. A text encoder is then told other numbers in the
# browser than those that it was trained on.
#
# Output seen:
#   Python      ΟΔΟΣ [1, 3, 3, 3]   a a a a a a [0, 0, 0, 0]
#   JavaScript  ΟΔΟΣ [2]   a a a a a a [0,0,0,0,0,0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder"

python3 -m venv python
python/bin/pip install --quiet tokenizers==0.22.1
npm install --silent --no-fund --no-audit @huggingface/tokenizers@0.2.0

cat >run.py <<'PYTHON'
import sys

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

made = Tokenizer(models.WordLevel({"a": 0, "οδοσ": 1, "οδος": 2, "[PAD]": 3}, unk_token="[PAD]"))
made.normalizer = normalizers.Lowercase()
made.pre_tokenizer = pre_tokenizers.Whitespace()
made.enable_truncation(max_length=4)
made.enable_padding(length=4, pad_id=3, pad_token="[PAD]")
made.save("tokenizer.json")
shown = "   ".join(f"{text} {made.encode(text).ids}" for text in ("ΟΔΟΣ", "a a a a a a"))
print(f"Python      {shown}")
PYTHON

cat >run.mjs <<'JAVASCRIPT'
import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";

const made = new Tokenizer(JSON.parse(readFileSync("tokenizer.json", "utf8")), {});
const shown = ["ΟΔΟΣ", "a a a a a a"].map((text) => `${text} ${JSON.stringify(made.encode(text).ids)}`);
console.log(`JavaScript  ${shown.join("   ")}`);
JAVASCRIPT

seen="$(python/bin/python run.py)
$(node run.mjs)"
printf '%s\n' "$seen"
[ "$seen" = "Python      ΟΔΟΣ [1, 3, 3, 3]   a a a a a a [0, 0, 0, 0]
JavaScript  ΟΔΟΣ [2]   a a a a a a [0,0,0,0,0,0]" ]
