/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* What all programs of one build say to --version. What must fit between them is the version of
 * their protocols, which is apart from it. */
#ifndef TETHER_VERSION_H
#define TETHER_VERSION_H

#define TETHER_VERSION "0.1"

#endif
