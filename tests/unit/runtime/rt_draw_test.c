/* rt_draw_test.c - Philox against the vectors published with Random123 (kat_vectors), the project's own keys and
 * counters, shuffling and splitting. */
#include "rt_test.h"

#include "runtime/order.h"
#include "runtime/philox.h"
#include "runtime/stream.h"

static void known_answers(void **state) {
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], answer[4];
  } kat[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (int i = 0; i < 3; i++) {
    uint32_t w[4];
    nnrt_philox(kat[i].counter, kat[i].key[0], kat[i].key[1], w);
    assert_memory_equal(w, kat[i].answer, sizeof w);
  }
}

/* The parts of a key, against published values. */
static void keys(void **state) {
  (void)state;
  assert_true(nnrt_fnv1a64("") == 0xcbf29ce484222325u);
  assert_true(nnrt_fnv1a64("foobar") == 0x85944171f73967e8u); /* Noll's page */
  assert_true(nnrt_mix64(0) == 0xe220a8397b1dcdafu);          /* the first output of splitmix64 from 0 */
  assert_true(nnrt_draw_key(1, "net.fc1.weight") == (nnrt_mix64(1) ^ nnrt_fnv1a64("net.fc1.weight")));
}

static void uniform(void **state) {
  (void)state;
  uint64_t key = nnrt_draw_key(1, "x");
  double sum = 0, sum64 = 0;
  for (uint64_t i = 0; i < 4096; i++) {
    float f = nnrt_draw_f32(key, 3, 5, i);
    double d = nnrt_draw_f64(key, 3, 5, i);
    assert_true(f >= 0 && f < 1 && d >= 0 && d < 1);
    sum += (double)f;
    sum64 += d;
  }
  assert_true(sum / 4096 > 0.48 && sum / 4096 < 0.52 && sum64 / 4096 > 0.48 && sum64 / 4096 < 0.52);
  uint32_t w[4];
  nnrt_draw_block(key, 3, 5, 1, w);
  assert_true(nnrt_draw_f32(key, 3, 5, 6) == (float)(w[2] >> 8) * 0x1p-24f);
  assert_true(nnrt_draw_u64(key, 3, 5, 3) == ((uint64_t)w[2] << 32 | w[3]));
}

static void shuffle(void **state) {
  (void)state;
  int64_t a[100], b[100], seen[100] = {0};
  for (int i = 0; i < 100; i++) a[i] = b[i] = i;
  nnrt_shuffle(7, "shuffle", 1, 100, a);
  nnrt_shuffle(7, "shuffle", 1, 100, b);
  assert_memory_equal(a, b, sizeof a);
  for (int i = 0; i < 100; i++) seen[a[i]]++;
  for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
  for (int i = 0; i < 100; i++) b[i] = i;
  nnrt_shuffle(7, "shuffle", 2, 100, b);
  assert_memory_not_equal(a, b, sizeof a);
}

/* Each of the six orders of three comes about as often as the others: 5 deviations of 100 are 46. */
static void shuffle_is_fair(void **state) {
  (void)state;
  int count[27] = {0}, seen = 0;
  for (int epoch = 1; epoch <= 600; epoch++) {
    int64_t a[3] = {0, 1, 2};
    nnrt_shuffle(7, "shuffle", epoch, 3, a);
    count[a[0] * 9 + a[1] * 3 + a[2]]++;
  }
  for (int i = 0; i < 27; i++) {
    if (count[i]) assert_in_range(count[i], 54, 146);
    seen += count[i] > 0;
  }
  assert_int_equal(seen, 6);
}

static void split(void **state) {
  (void)state;
  int64_t order[100];
  NnrtError e;
  uint8_t seen[100] = {0};
  assert_int_equal(nnrt_split(1, 100, 0, 25, order, &e), NNRT_OK);
  for (int i = 0; i < 100; i++) {
    seen[order[i]]++;
    if (i && i != 75) assert_true(order[i] > order[i - 1]);
  }
  for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
  assert_int_equal(nnrt_split(1, 3, 0, 0, order, &e), NNRT_OK);
  for (int i = 0; i < 3; i++) assert_int_equal(order[i], i);
}

/* How many places have a smaller hash, equal ones in the order of the places: the rank by which folds are cut. */
static int64_t rank_of(uint64_t seed, int64_t n, int64_t place) {
  uint64_t key = nnrt_draw_key(seed, "validate"), own = nnrt_draw_u64(key, 0, (uint64_t)place, 0);
  int64_t rank = 0;
  for (int64_t i = 0; i < n; i++) {
    uint64_t other = nnrt_draw_u64(key, 0, (uint64_t)i, 0);
    rank += other < own || (other == own && i < place);
  }
  return rank;
}

static void folds(void **state) {
  (void)state;
  static const struct { int64_t n, folds; } cases[] = {{2, 2}, {7, 7}, {10, 3}, {97, 5}, {100, 10}};
  const NnrtData table = {.name = "d"};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    int64_t n = cases[c].n, all = cases[c].folds;
    int times[100] = {0};
    for (int64_t k = 1; k <= all; k++) {
      NnrtStream s = {.data = {.table = &table, .count = n}};
      NnrtError e;
      assert_int_equal(nnrt_stream_divide(&s, 3, (NnrtHeld){.fold = k, .folds = all}, true, &e), NNRT_OK);
      assert_int_equal(s.n + s.held, n);
      assert_in_range(s.held, n / all, n / all + 1);
      for (int64_t i = 0; i < n; i++) {
        int64_t rank = rank_of(3, n, s.places[i]);
        bool held = rank >= n * (k - 1) / all && rank < n * k / all;
        assert_int_equal(held, i >= s.n);
        times[s.places[i]] += held;
      }
      nnrt_stream_close(&s);
    }
    for (int64_t i = 0; i < n; i++) assert_int_equal(times[i], 1);
  }
  NnrtStream s = {.data = {.table = &table, .count = 4}};
  NnrtError e;
  assert_int_equal(nnrt_stream_divide(&s, 3, (NnrtHeld){.fold = 1, .folds = 5}, true, &e), NNRT_EDATA);
  assert_string_equal(e.text, "data d: 5 folds, and only 4 examples");
  nnrt_stream_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers),
                                     cmocka_unit_test(keys),
                                     cmocka_unit_test(uniform),
                                     cmocka_unit_test(shuffle),
                                     cmocka_unit_test(shuffle_is_fair),
                                     cmocka_unit_test(split),
                                     cmocka_unit_test(folds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
