/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * Under Shared Port a queue pair that was made in a VM after it has moved is known under the LID
 * that its context shows, and others stay at that LID: where (LID, QPN) leads is not to be told
 * from the numbers of before. So what is sent to one of whom nothing is known, at a LID that a VM
 * has left, is kept (datagrams.h), and the root is asked; one question at a time, by the service
 * thread. Nobody to ask for a while: it is where it says.
 */
#ifndef TETHER_DATAGRAM_QUESTIONS_H
#define TETHER_DATAGRAM_QUESTIONS_H

/* A turn of the service thread: ask, or take what was answered. Holds no lock. */
void datagram_questions_turn(void);
/* Is an answer waited for, so that the thread may not sleep for good? */
int datagram_questions_are_open(void);
/* In a child after fork. */
void datagram_questions_forget(void);

#endif
