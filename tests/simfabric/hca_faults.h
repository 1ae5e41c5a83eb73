/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * What the data faults (data_faults.h) do inside the HCA: requests that are held, RECVs that are
 * refused or hidden, behaviours of adapters. What they do to packets is in hca_wire.c. Under the
 * HCA's lock.
 */
#ifndef SIMFABRIC_HCA_FAULTS_H
#define SIMFABRIC_HCA_FAULTS_H

#include "simfabric/hca.h"

/* As queue_pair_host's. */
bool hca_faults_is_held(struct queue_pair *qp, uint32_t psn, bool begins);
bool hca_faults_refuses_receive(struct queue_pair *qp);
/* When the application may see the completion; 0: at once. */
uint64_t hca_faults_visible_ns(struct queue_pair *qp, const struct completion *completion);
/* The engine's view of the settings. */
void hca_faults_apply(struct hca *hca);
/* Look anew at what is held, where somebody has changed the settings. */
void hca_faults_turn(void);

#endif
