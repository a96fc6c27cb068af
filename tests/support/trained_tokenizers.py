"""Tokenizers of the usual kinds, trained in a moment on a few lines, and prompts that such have trouble with."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from dtool.models.readers.diffusers_tokenizer import CLIP_WORDS

LENGTH = 20
LINES = [
    "a small red house by the sea", "the cat's hat isn't here, they'll say", "an astronaut riding a horse",
    "Ünïcödé café naïve", "123 4567 3.14", "写真 猫 日本語", "emoji 😀👍🏽",
    "σίσυφος Ωμέγα", "русский עברית العربية",
]  # fmt: skip
PROMPTS = [
    "", " ", "a small red house", "  two   spaces\tand\nlines ", "The Cat's HAT isn't here; they'll SAY so", "x" * 200,
    "word " * 60, "Ünïcödé café", "cafe\u0301 nai\u0308ve", "写真の猫", "日本語 text",
    "😀👍🏽 emoji 👨‍👩‍👧", "123 4567 3.14",
    "it's 5'9\" tall", "a,b;c!?...---", "<|endoftext|> inside <|startoftext|>", "[CLS] a [MASK] cat </s>", "é" * 30,
    "(weighted:1.3) [brackets]", "\u00a0no break\u200bzero width", "İstanbul ŞİŞ ǅ ß ẞ ﬁ", "Ωμέγα русский עברית",
    "العربية हिन्दी ไทย 한국어", "\u0000 control \u0007", "a\u2028b", "\U0010ffff", "½ ² Ⅷ ①", "don’t ‘quote’",
    "_under_score_ #tag @at $1", "1girl, masterpiece, 8k", "a" + "\u0301" * 5, "ｆｕｌｌ ｗｉｄｔｈ", "A\u030a Å",
    "'s 't 're", "\\n\\t \\ /", "\u200d\ufe0f", "Σίσυφος ΟΔΟΣ Σ", "cat" * 30,
]  # fmt: skip


def train_clip() -> Tokenizer:
    """Byte-level byte-pair encoding, as CLIP's."""
    made = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>", continuing_subword_prefix=""))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    split = pre_tokenizers.Split(Regex(CLIP_WORDS), "removed", invert=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|startoftext|>", "<|endoftext|>"]
    made.train_from_iterator(
        LINES * 3,
        trainers.BpeTrainer(
            vocab_size=700, end_of_word_suffix="</w>", initial_alphabet=alphabet, special_tokens=special,
            show_progress=False,
        ),
    )  # fmt: skip
    start, end = ((word, made.token_to_id(word)) for word in special)
    made.post_processor = processors.RobertaProcessing(end, start, False, False)
    made.decoder = decoders.ByteLevel()
    return _bound(made, end[1])


def train_bert(direction: str = "right") -> Tokenizer:
    """WordPiece, as BERT's and MiniLM's; direction: the side that is cut off."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(
        LINES * 3, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    )
    ends = [(word, made.token_to_id(word)) for word in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    made.decoder = decoders.WordPiece()
    return _bound(made, 0, direction)


def train_unigram() -> Tokenizer:
    """Unigram over words that begin with a mark, as T5's."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    made.train_from_iterator(
        LINES * 3,
        trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    made.decoder = decoders.Metaspace()
    return _bound(made, 0)


def _bound(made: Tokenizer, pad: int, direction: str = "right") -> Tokenizer:
    made.enable_truncation(LENGTH, direction=direction)
    made.enable_padding(length=LENGTH, pad_id=pad, pad_token=made.id_to_token(pad))
    return made
