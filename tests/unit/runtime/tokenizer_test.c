/* tokenizer_test.c - odd texts cut as HuggingFace's tokenizers cut them (tests/reference/tokenizers.safetensors), by
 * vocabularies read as nnc reads them; what is said back; vocabularies that are refused. */
#include "rt_test.h"

#include "frontend/driver/vocabulary.h"
#include "lang/arena.h"
#include "runtime/safetensors.h"
#include "runtime/source.h"

#define FOLDER TEST_DATA "/tokenizers/"

static const NnrtTokenizer *tokenizer_named(const char *name) {
#define ROW(id)                                                                                                      \
  if (strcmp(name, #id) == 0) return &nnrt_tokenizer_##id;
#include "runtime/tokenizer.def"
#undef ROW
  return NULL;
}

typedef struct Row { /* of a list of lists in the file */
  const char *at;
  int64_t n;
} Row;

static Row row(const NnrtSafetensors *s, const char *name, int64_t i) {
  char ends[64];
  snprintf(ends, sizeof ends, "%s.ends", name);
  const NnrtTensor *t = nnrt_safetensors_find(s, name), *e = nnrt_safetensors_find(s, ends);
  assert_non_null(t);
  assert_non_null(e);
  int32_t place[2];
  memcpy(place, (const char *)e->data + 4 * i, sizeof place);
  return (Row){(const char *)t->data + (int64_t)place[0] * nnrt_dtype(t->dtype)->bytes, place[1] - place[0]};
}

/* The text that tokens stand for; how long it is. */
static size_t said(const NnrtVocabulary *v, const NnrtTokens *tokens, char *to) {
  size_t n = 0, k;
  for (int64_t i = 0; i < tokens->n; i++) {
    bool space;
    const char *text = nnrt_vocabulary_text(v, tokens->at[i], i == 0, &k, &space);
    if (space) to[n++] = ' ';
    memcpy(to + n, text, k);
    n += k;
  }
  return n;
}

/* Every text of the file under one vocabulary. `back`: how it is said again; "texts": as it was. */
static void against(const VocabularyFiles *files, const char *name, const char *back) {
  Arena *a = arena_new();
  Vocabulary read;
  NnrtVocabulary v;
  NnrtSafetensors s;
  NnrtError e = {0};
  const char *error = vocabulary_read(a, files, &read);
  if (error) fail_msg("%s", error);
  nnrt_vocabulary_open(&v, read.block);
  assert_int_equal(nnrt_safetensors_open(&s, TEST_REFERENCE "/tokenizers.safetensors", &e), NNRT_OK);
  int64_t count = nnrt_safetensors_find(&s, "texts.ends")->shape[0] - 1;
  assert_true(count > 300);
  for (int64_t i = 0; i < count; i++) {
    Row text = row(&s, "texts", i), expected = row(&s, name, i);
    NnrtTokens got = {0};
    if (nnrt_tokenize(tokenizer_named(read.tokenizer), &v, text.at, (size_t)text.n, "a text", 1, &got, &e) != NNRT_OK)
      fail_msg("%s: text %d: %s", name, (int)i, e.text);
    if (got.n != expected.n || (got.n && memcmp(got.at, expected.at, (size_t)(4 * got.n)) != 0))
      fail_msg("%s: text %d, \"%.*s\": other tokens than the reference's", name, (int)i, (int)text.n, text.at);
    char room[8192];
    Row whole = back ? row(&s, back, i) : text;
    size_t n = back ? said(&v, &got, room) : 0;
    if (back && (n != (size_t)whole.n || memcmp(room, whole.at, n) != 0))
      fail_msg("%s: text %d is said as \"%.*s\"", name, (int)i, (int)n, room);
    free(got.at);
  }
  nnrt_safetensors_close(&s);
  arena_free(a);
}

static void byte_pairs(void **state) {
  (void)state;
  against(&(VocabularyFiles){.vocabulary = FOLDER "vocab.json", .merges = FOLDER "merges.txt", .lower = true}, "bpe",
          "texts");
}

static void word_pieces(void **state) {
  (void)state;
  against(&(VocabularyFiles){.vocabulary = FOLDER "uncased.txt", .merges = NULL, .lower = true}, "uncased",
          "uncased.said");
  against(&(VocabularyFiles){.vocabulary = FOLDER "cased.txt", .merges = NULL, .lower = false}, "cased",
          "cased.said");
}

/* HuggingFace's tokenizer.json, and special tokens that a source names. */
static void whole_files(void **state) {
  (void)state;
  static const char *const pairs[] = {"<|endoftext|>", "the"}, *const pieces[] = {"[MASK]"};
  against(&(VocabularyFiles){.vocabulary = FOLDER "bpe.tokenizer.json", .lower = true}, "bpe_json", NULL);
  against(&(VocabularyFiles){.vocabulary = FOLDER "wordpiece.tokenizer.json", .lower = true}, "wordpiece_json", NULL);
  against(&(VocabularyFiles){.vocabulary = FOLDER "vocab.json",
                             .merges = FOLDER "merges.txt",
                             .special = pairs,
                             .n_special = 2,
                             .end = "<|endoftext|>"},
          "bpe_named", NULL);
  against(&(VocabularyFiles){.vocabulary = FOLDER "uncased.txt",
                             .lower = true,
                             .special = pieces,
                             .n_special = 1,
                             .begin = "[CLS]",
                             .end = "[SEP]"},
          "wordpiece_named", NULL);
}

static void characters(void **state) {
  (void)state;
  against(&(VocabularyFiles){.vocabulary = FOLDER "characters.json", .merges = NULL, .lower = true}, "characters",
          NULL);
}

/* A word of a million letters takes no time that grows by its square. */
static void long_word(void **state) {
  (void)state;
  enum { N = 1 << 20 };
  Arena *a = arena_new();
  Vocabulary read;
  NnrtVocabulary v;
  NnrtError e = {0};
  NnrtTokens got = {0};
  assert_null(vocabulary_read(
      a, &(VocabularyFiles){.vocabulary = FOLDER "vocab.json", .merges = FOLDER "merges.txt", .lower = true}, &read));
  nnrt_vocabulary_open(&v, read.block);
  char *text = arena_alloc(a, N), *again = arena_alloc(a, N);
  for (int i = 0; i < N; i++) text[i] = "the warranty"[i % 3];
  assert_int_equal(nnrt_tokenize(&nnrt_tokenizer_bpe, &v, text, N, "a text", 1, &got, &e), NNRT_OK);
  assert_true(got.n < N);
  assert_int_equal(said(&v, &got, again), N);
  assert_memory_equal(text, again, N);
  free(got.at);
  arena_free(a);
}

static void no_text(void **state) {
  (void)state;
  static const char *const files[][2] = {
      {"vocab.json", "merges.txt"}, {"uncased.txt", NULL}, {"characters.json", NULL}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    Arena *a = arena_new();
    Vocabulary read;
    NnrtVocabulary v;
    NnrtError e = {0};
    NnrtTokens got = {0};
    const char *merges = files[i][1] ? arena_printf(a, FOLDER "%s", files[i][1]) : NULL;
    assert_null(vocabulary_read(
        a,
        &(VocabularyFiles){.vocabulary = arena_printf(a, FOLDER "%s", files[i][0]), .merges = merges, .lower = true},
        &read));
    nnrt_vocabulary_open(&v, read.block);
    const char *text = "word\nab\xff";
    int status = nnrt_tokenize(tokenizer_named(read.tokenizer), &v, text, strlen(text), "t.txt", 3, &got, &e);
    assert_int_equal(status, NNRT_EDATA);
    assert_string_equal(e.text, "t.txt:4: column 3: byte 255 is not in the vocabulary, nor is it UTF-8");
    free(got.at);
    arena_free(a);
  }
}

#define PAIRS(cut, model)                                                                                            \
  "{\"pre_tokenizer\": {\"type\": \"ByteLevel\", " cut "}, \"model\": {\"type\": \"BPE\", " model "}}"
#define ADDED(token)                                                                                                 \
  "{\"added_tokens\": [" token                                                                                       \
  "], \"pre_tokenizer\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}}}"

/* Merges in the older form, a text each; what is not known is passed over, whatever it is. */
static void older_file(void **state) {
  (void)state;
  static const char file[] =
      "{ \"x\": [{\"y\": \"\\\"}]\", \"z\": [1e-5, -2, null, true]}], \"model\": {\"merges\": [\"a b\", \"ab b\"], "
      "\"type\": "
      "\"BPE\", \"unk_token\": null, \"vocab\": {\"a\": 1, \"b\": 0, \"ab\": 2, \"abb\": 3}}, \"normalizer\": null, "
      "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}, \"added_tokens\": []}";
  Arena *a = arena_new();
  Vocabulary read;
  NnrtVocabulary v;
  NnrtError e = {0};
  NnrtTokens got = {0};
  const char *error = vocabulary_read(a, &(VocabularyFiles){.vocabulary = test_text("older.json", file)}, &read);
  if (error) fail_msg("%s", error);
  assert_true(read.whole);
  nnrt_vocabulary_open(&v, read.block);
  assert_int_equal(nnrt_tokenize(&nnrt_tokenizer_bpe, &v, "abbab", 5, "t", 1, &got, &e), NNRT_OK);
  assert_int_equal(got.n, 2);
  assert_int_equal(got.at[0], 3);
  assert_int_equal(got.at[1], 2);
  free(got.at);
  arena_free(a);
}

static void refusals(void **state) {
  (void)state;
  static const struct {
    const char *file, *text, *merges, *says;
  } bad[] = {
      {"v.json", "", NULL, "v.json: byte 0: '{' is missing"},
      {"v.json", "{}", NULL, "v.json: the vocabulary is empty"},
      {"v.json", "{\"a\": 0, \"b\": 0}", NULL, "two tokens have the number 0"},
      {"v.json", "{\"a\": 0, \"a\": 1}", NULL, "v.json: the token `a` stands twice"},
      {"v.json", "{\"a\": 0, \"b\": 2}", NULL, "v.json: no token has the number 1"},
      {"v.json", "{\"a\": 9999999999}", NULL, "the token 9999999999, which is too large"},
      {"v.json", "{\"a\": 0, \"bc\": 1, \"de\": 2}", NULL, "`bc` and `de` are more than one character"},
      {"v.json", "{\"a\": 0, \"b\": 1}", "a b\n", "m.txt:1: `ab` is not in the vocabulary"},
      {"v.json", "{\"a\": 0, \"aa\": 1}", "#version: 0.2\na a\na c\n", "m.txt:3: `c` is not in the vocabulary"},
      {"v.json", "{\"a\": 0, \"aa\": 1}", "a a\na a\n", "m.txt: `a a` stands twice"},
      {"v.json", "{\"a\": 0}", "aa\n", "m.txt:1: two tokens with a space between them are wanted"},
      {"v.txt", "[UNK]\na\n\nb\n", NULL, "v.txt:3: this line holds no token"},
      {"v.txt", "[UNK]\na\nb\na\n", NULL, "v.txt:2: this token stands on two lines"},
      {"t.json", "{\"version\": \"1\"", NULL, "t.json: byte 15: a value is missing, or cut off"},
      {"t.json", "{\"version\": \"1\"}", NULL, "t.json: its model is none, and BPE or WordPiece is read"},
      {"t.json", "{\"model\": {\"type\": \"Unigram\"}}", NULL, "its model is `Unigram`, and BPE or WordPiece"},
      {"t.json", "{\"model\": {}}", "a b\n", "t.json: a tokenizer.json has its merges in itself"},
      {"t.json", "{\"model\": {\"type\": \"BPE\"}}", NULL, "its pre_tokenizer is none, and ByteLevel is read"},
      {"t.json", "{\"pre_tokenizer\": {\"type\": \"Sequence\"}, \"model\": {\"type\": \"BPE\"}}", NULL,
       "its pre_tokenizer is `Sequence`, and ByteLevel is read"},
      {"t.json", "{\"normalizer\": {\"type\": \"NFC\"}, \"model\": {\"type\": \"BPE\"}}", NULL,
       "its normalizer is `NFC`, and none is read"},
      {"t.json", PAIRS("\"add_prefix_space\": true", "\"vocab\": {}"), NULL, "its `add_prefix_space` is not false"},
      {"t.json", PAIRS("\"x\": 1", "\"byte_fallback\": true"), NULL, "its `byte_fallback` is not false"},
      {"t.json", PAIRS("\"x\": 1", "\"vocab\": {\"a\": -1}"), NULL, "t.json: byte 89: a natural number is missing"},
      {"t.json", PAIRS("\"x\": 1", "\"vocab\": {\"a\": 0}"), NULL, "t.json: its model has no `merges`"},
      {"t.json", PAIRS("\"x\": 1", "\"vocab\": {\"a\": 0}, \"merges\": [\"a a\"]"), NULL,
       "t.json:1: `aa` is not in the vocabulary"},
      {"t.json", PAIRS("\"x\": 1", "\"vocab\": {\"a\": 0}, \"merges\": [[\"a\", 1]]"), NULL,
       "t.json:1: two tokens with a space between them are wanted"},
      {"t.json", ADDED("{\"id\": 0, \"content\": \"b\"}"), NULL, "the tokens `a` and `b` have the number 0"},
      {"t.json", ADDED("{\"id\": 2, \"content\": \"b\"}"), NULL, "t.json: no token has the number 1"},
      {"t.json", ADDED("{\"id\": 1, \"content\": \"b\", \"single_word\": true}"), NULL,
       "the added token `b` is a `single_word`"},
      {"t.json", ADDED("7"), NULL, "one of its `added_tokens` has no `content`, or no `id`"},
      {"v.txt", "97\n256\n", NULL, "v.txt:2: this is no byte's number"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    Arena *a = arena_new();
    Vocabulary read;
    test_file(bad[i].file, bad[i].text, strlen(bad[i].text));
    if (bad[i].merges) test_file("m.txt", bad[i].merges, strlen(bad[i].merges));
    const char *error = vocabulary_read(
        a, &(VocabularyFiles){.vocabulary = bad[i].file, .merges = bad[i].merges ? "m.txt" : NULL, .lower = true},
        &read);
    assert_non_null(error);
    assert_says(error, bad[i].says);
    arena_free(a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(byte_pairs), cmocka_unit_test(word_pieces),
                                     cmocka_unit_test(characters), cmocka_unit_test(whole_files),
                                     cmocka_unit_test(older_file), cmocka_unit_test(long_word),
                                     cmocka_unit_test(no_text),    cmocka_unit_test(refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
