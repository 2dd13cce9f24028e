/* cubin.c - see cubin.h. A cubin is an ELF file that has a section .text.NAME for each kernel. */
#include "tests/gpu/cubin.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

enum { INSTRUCTION = 16 };

static int count_section(const char *code, size_t bytes, int count[OPCODES]) {
  for (size_t i = 0; i + INSTRUCTION <= bytes; i += INSTRUCTION) {
    uint16_t low;
    memcpy(&low, code + i, sizeof low);
    count[low % OPCODES]++;
  }
  return (int)(bytes / INSTRUCTION);
}

int cubin_count(const void *cubin, size_t n, const char *symbol, int count[OPCODES]) {
  const char *file = cubin, prefix[] = ".text.";
  Elf64_Ehdr head;
  int all = -1;
  if (n < sizeof head) return -1;
  memcpy(&head, file, sizeof head);
  if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_shoff + head.e_shnum * sizeof(Elf64_Shdr) > n) return -1;
  const Elf64_Shdr *sections = (const Elf64_Shdr *)(const void *)(file + head.e_shoff);
  const char *names = file + sections[head.e_shstrndx].sh_offset;
  for (int i = 0; i < head.e_shnum; i++) {
    const Elf64_Shdr *s = &sections[i];
    const char *name = names + s->sh_name;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0 || s->sh_offset + s->sh_size > n) continue;
    if (symbol && strcmp(name + sizeof prefix - 1, symbol) != 0) continue;
    all = (all < 0 ? 0 : all) + count_section(file + s->sh_offset, s->sh_size, count);
  }
  return all;
}
