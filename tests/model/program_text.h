/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What things of a program are called, in its text and in what is said of it. */
#ifndef MODEL_PROGRAM_TEXT_H
#define MODEL_PROGRAM_TEXT_H

enum { OPCODES = 10, FLAGS = 5 };

/* Names by number, NULL behind the last; a number that has none is "?". */
extern const char *const place_names[], *const wrong_names[], *const process_names[];
/* Opcodes of work, in the order of the tables of results, and flags. */
extern const int work_opcodes[OPCODES];
const char *opcode_name(int opcode);

#endif
