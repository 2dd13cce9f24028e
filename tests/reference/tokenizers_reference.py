"""tokenizers_reference.py - odd texts, and what HuggingFace's tokenizers make of them: what tokenizers.safetensors
holds. `vocabularies` trains small vocabularies on the text example and the odd texts; they are committed in
tests/data/tokenizers, and made again only by hand."""
import json
import os
import random

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "..", "data", "tokenizers")

WRITTEN = [
    "", " ", "  ", "\n", "\t\n ", "a", "A", "Hello, world!", "  two  spaces  ", "It's they'll we've I'd you're I'm",
    "IT'S THEY'LL", "don't'd''s", "100 times 3.14 is 314", "1st2nd3rd", "x=y+z;", "a.b.c...", "($5.00)", "e-mail@host.org",
    "http://a.b/c?d=e&f", "tab\tand\nline\r\nends\r", "trailing space ", "\u00a0no break\u00a0", "\u2003em\u2003space",
    "naïve café résumé Ångström", "cafe\u0301 a\u0308o\u0308u\u0308", "\u1e9e ß ﬁ ﬃ Ǆ ǅ İ ı ſ", "ΑΒΓ Σίσυφος ς",
    "Привет, мир! Ёлка", "שָׁלוֹם עולם", "مرحبا بالعالم", "नमस्ते दुनिया", "สวัสดีชาวโลก", "こんにちは世界。カタカナ", "中文字符，测试", "漢字kanji漢字",
    "한국어 테스트", "가각갂", "日本語とEnglishの混在", "😀", "a😀b", "👩‍👩‍👧‍👦 family", "🇩🇪🇫🇷", "👍🏽 ok", "☃ snow ❤️", "\u200bzero\u200bwidth\u200d",
    "\ufeffmark", "\u202eright\u202c", "soft\u00adhyphen", "a\x00b".replace("\x00", "\x01"), "\x07bell \x1b[0m", "\x7f", "\x85next\x0bline\x0c",
    "\ufffd replaced", "\ue000private", "\U000f0000", "\U0010ffff", "½ ⅓ ² ₃ Ⅷ ٣ ৪", "① ㈱ ㌔", "—–‐‑ « » “ ” ‘ ’ …", "¿Qué? ¡Sí!",
    "€100 £5 ¥3 ₿", "± × ÷ ≠ ≮ ≤ ∞", "a_b __init__ snake_case", "CamelCaseAndHTTPServer", "#hash @at %", "[CLS] [SEP] [MASK] [UNK] [PAD]",
    "<|endoftext|> <s>", "##ing ##", "`code` ~tilde~ ^", "\\ / | \" '", "'", "''", "'s", " 's", "s's", "\u1680 \u180e \u2028 \u2029 \u202f \u205f \u3000",
    "a" * 99, "a" * 100, "a" * 101, "é" * 100, "ab" * 150, " " * 70, "\n" * 40, "!" * 80, "permission " * 20, "GNU GENERAL PUBLIC LICENSE",
    "the quick brown fox", "unaffordable reproducibility", "warranties; WITHOUT EVEN the implied", "x\u0301\u0301\u0301", "\u0301", "q\u0323\u0307", "Å Å Å",
    "Ἀθῆναι ᾳ ᾼ", "ﷺ", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙", "\U0001f9ff\U0001fae0",
    "<|endoftext|>", "one<|endoftext|>two <|endoftext|> three", " <mask> a", "a  <mask>  b<mask><mask>", "the<|endof text|>", "[CLS] what [SEP] that [SEP]",
    "a[MASK]b [mask] [MASK]", "<s><|endoftext|></s>", "other the then <|endoftext|>", "[CLS][SEP][PAD]",
]


def texts():
    """The written ones, and random ones of letters, spaces, signs and characters of all kinds."""
    r = random.Random(5)
    kinds = ["abcdefgh", "ABC", "  \t\n", "0123", ".,;:!?'-()", "éüñçß", "αβγ", "жд", "漢字仮名", "한글", "\u0301\u0308\u200d\u00ad",
             "😀👍🇩", "'s't're", "\u00a0\u2003\u3000", "\x01\x1f\x7f\x85\x0b"]
    out = list(WRITTEN)
    for _ in range(250):
        out.append("".join(r.choice(r.choice(kinds)) for _ in range(r.randint(1, 40))))
    return out


def vocabularies():
    from tokenizers import ByteLevelBPETokenizer, BertWordPieceTokenizer
    os.makedirs(FOLDER, exist_ok=True)
    train = open(os.path.join(HERE, "..", "..", "examples", "text", "train.txt")).read()
    corpus = [train[i:i + 2000] for i in range(0, len(train), 2000)] + texts() * 2
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(corpus, vocab_size=700, special_tokens=["<|endoftext|>"])
    bpe.save_model(FOLDER)  # vocab.json, merges.txt
    for name, lower in (("uncased.txt", True), ("cased.txt", False)):
        pieces = BertWordPieceTokenizer(lowercase=lower)
        pieces.train_from_iterator(corpus, vocab_size=900, show_progress=False)
        vocabulary = pieces.get_vocab()
        with open(os.path.join(FOLDER, name), "w", newline="\n") as out:
            out.writelines(t + "\n" for t in sorted(vocabulary, key=vocabulary.get))
    characters = sorted({c for t in texts()[::2] for c in t})
    with open(os.path.join(FOLDER, "characters.json"), "w") as out:
        json.dump({c: i for i, c in enumerate(["<unk>"] + characters)}, out, ensure_ascii=False)


def whole_files():
    """The same vocabularies as tokenizer.json: merges as pairs, special tokens of which one takes the spaces before it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    bpe = Tokenizer(models.BPE.from_file(os.path.join(FOLDER, "vocab.json"), os.path.join(FOLDER, "merges.txt")))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.post_processor = processors.ByteLevel(trim_offsets=True)
    bpe.add_special_tokens(["<|endoftext|>", AddedToken("<mask>", lstrip=True), AddedToken("</s>", rstrip=True)])
    pieces = Tokenizer(models.WordPiece.from_file(os.path.join(FOLDER, "uncased.txt"), unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.decoder = decoders.WordPiece(cleanup=False)
    pieces.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return {"bpe": bpe, "wordpiece": pieces}


def rows(name, lists, dtype):
    flat = [v for l in lists for v in l]
    ends = np.cumsum([0] + [len(l) for l in lists])
    return {name: np.array(flat, dtype), name + ".ends": ends.astype(np.int32)}


def make():
    from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer
    path = lambda name: os.path.join(FOLDER, name)
    given = texts()
    bpe = ByteLevelBPETokenizer(path("vocab.json"), path("merges.txt"))
    of = {"bpe": [bpe._tokenizer.encode(t, add_special_tokens=False).ids for t in given]}
    for name, lower in (("uncased", True), ("cased", False)):
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
        pieces = Tokenizer(models.WordPiece.from_file(path(name + ".txt"), unk_token="[UNK]"))
        pieces.normalizer = normalizers.BertNormalizer(lowercase=lower)
        pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        pieces.decoder = decoders.WordPiece(cleanup=False)
        of[name] = [pieces.encode(t).ids for t in given]
        of[name + ".said"] = [pieces.decode(ids).encode() for ids in of[name]]
    for name in ("bpe", "wordpiece"):
        whole = Tokenizer.from_file(path(name + ".tokenizer.json"))
        of[name + "_json"] = [whole.encode(t, add_special_tokens=False).ids for t in given]
    named = Tokenizer(bpe._tokenizer.model)
    named.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    named.add_special_tokens(["<|endoftext|>", "the"])
    last = named.token_to_id("<|endoftext|>")
    of["bpe_named"] = [named.encode(t).ids + [last] for t in given]
    named = Tokenizer(models.WordPiece.from_file(path("uncased.txt"), unk_token="[UNK]"))
    named.normalizer = normalizers.BertNormalizer(lowercase=True)
    named.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    named.add_special_tokens(["[MASK]", "[CLS]", "[SEP]"])
    of["wordpiece_named"] = [[named.token_to_id("[CLS]")] + named.encode(t).ids + [named.token_to_id("[SEP]")] for t in given]
    numbers = json.load(open(path("characters.json")))
    of["characters"] = [[numbers.get(c, 0) for c in t] for t in given]
    out = rows("texts", [t.encode() for t in given], np.uint8)
    for name, lists in of.items():
        out.update(rows(name, lists, np.uint8 if name.endswith("said") else np.int32))
    return out


if __name__ == "__main__":
    vocabularies()
    for name, tokenizer in whole_files().items():
        tokenizer.save(os.path.join(FOLDER, name + ".tokenizer.json"), pretty=False)
