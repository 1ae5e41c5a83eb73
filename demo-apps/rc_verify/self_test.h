/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Proves that the checkers can fail: runs each of them over a good stream and over one with a fault
 * in it. Needs no device.
 */
#ifndef RC_VERIFY_SELF_TEST_H
#define RC_VERIFY_SELF_TEST_H

/* Prints one line per fault and a JSON object at the end. 0 when every fault was reported, and
 * nothing else; -1 otherwise. */
int self_test(void);

#endif
