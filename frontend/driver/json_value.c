/* json_value.c - see json_value.h. */
#include "frontend/driver/json_value.h"

#include <string.h>

static char next_sign(NnrtJson *j) {
  while (j->at < j->end && strchr(" \t\r\n", *j->at) && *j->at) j->at++;
  return j->at < j->end ? *j->at : 0;
}

static bool skip_text(NnrtJson *j) {
  for (j->at++; j->at < j->end && *j->at != '"'; j->at++)
    if (*j->at == '\\' && j->at + 1 < j->end) j->at++;
  return j->at < j->end && *j->at++ == '"';
}

/* A number, true, false or null. */
static bool skip_word(NnrtJson *j) {
  const char *start = j->at;
  while (j->at < j->end && *j->at && !strchr(",:[]{}\" \t\r\n", *j->at)) j->at++;
  return j->at > start;
}

bool json_skip(NnrtJson *j) {
  int depth = 0;
  do {
    char c = next_sign(j);
    bool inside = depth && (c == ',' || c == ':'), right = true;
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    if (c == '"') right = skip_text(j);
    else if (inside || (c && strchr("{}[]", c))) j->at++;
    else right = skip_word(j);
    if (!right || depth < 0) return nnrt_json_refuse(j, "a value is missing, or cut off");
  } while (depth);
  return true;
}

bool json_member(const NnrtJson *object, const char *name, NnrtJson *value) {
  NnrtError ignored;
  NnrtJson j = *object;
  char key[256];
  j.error = &ignored;
  for (bool more = next_sign(&j) == '{' && nnrt_json_object(&j); more; more = json_skip(&j)) {
    if (!nnrt_json_key(&j, key, sizeof key, NULL)) return false;
    if (strcmp(key, name) != 0) continue;
    next_sign(&j);
    *value = j;
    value->error = object->error;
    return j.end - j.at < 4 || memcmp(j.at, "null", 4) != 0;
  }
  return false;
}

const char *json_text(Arena *a, const NnrtJson *value) {
  NnrtError ignored;
  NnrtJson j = *value, past = *value;
  j.error = past.error = &ignored;
  if (next_sign(&j) != '"' || !json_skip(&past)) return NULL;
  size_t room = (size_t)(past.at - j.at);
  char *text = NEW_ARRAY(a, char, room);
  return nnrt_json_string(&j, text, room, NULL) ? text : NULL;
}

bool json_true(const NnrtJson *value) { return value->end - value->at >= 4 && !memcmp(value->at, "true", 4); }

const char *json_member_text(Arena *a, const NnrtJson *object, const char *name) {
  NnrtJson value;
  return json_member(object, name, &value) ? json_text(a, &value) : NULL;
}

bool json_member_true(const NnrtJson *object, const char *name) {
  NnrtJson value;
  return json_member(object, name, &value) && json_true(&value);
}
