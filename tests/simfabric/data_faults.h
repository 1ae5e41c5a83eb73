/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/*
 * How nasty the data plane is: packets that are lost, repeated, late or cut off, completions that
 * come late, and the behaviours in which adapters differ. The settings lie in the shared file; the
 * command line writes them, every HCA reads them for each packet, without the lock, each word
 * whole. What becomes of one packet is decided where it is sent.
 */
#ifndef SIMFABRIC_DATA_FAULTS_H
#define SIMFABRIC_DATA_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simfabric/packet.h"
#include "simfabric/qp_faults.h"
#include "simfabric/shared_file.h"

enum packet_kind {
	KIND_REQUEST,  /* of RC and XRC */
	KIND_RESPONSE, /* data of a READ or atomic */
	KIND_ACK,      /* ACK, and NAK other than RNR */
	KIND_RNR_NAK,
	KIND_UC,
	KIND_UD, /* copies of a multicast packet each have a fate of their own */
	KIND_COUNT,
};

enum {
	FAULT_RULES_MAX = 32,
	FAULT_CERTAIN = 1000000, /* probabilities are in millionths */
};

struct kind_faults {
	uint32_t drop, duplicate, delay; /* probabilities */
	uint32_t delay_us; /* at most; evenly spread, so packets overtake each other */
};

struct fault_rule {
	uint16_t slid, dlid; /* rule 0 is for all other pairs */
	struct kind_faults kinds[KIND_COUNT];
	uint32_t cut;      /* probability per message of several packets */
	uint32_t cut_from; /* the first packet of it that is lost, all others after it as well */
};

/* While some rule does something. */
struct packet_counts {
	uint64_t seen, lost; /* of all; of these here */
};

struct data_faults {
	uint32_t is_active; /* some rule does something: else packets need not be looked at */
	uint32_t rule_count;
	uint32_t changes; /* counted, so that an HCA looks anew at what it holds */
	uint64_t seed;
	struct fault_rule rules[FAULT_RULES_MAX];
	struct qp_faults qps;
	struct packet_counts packets[KIND_COUNT];
	/* A receive's completion becomes visible after its message was acknowledged. */
	uint32_t hold_receives; /* probability */
	uint32_t hold_us;
	uint32_t hold_until_query; /* or earlier, when rq_psn is queried */
	uint32_t hold_sends;       /* probability; so a sender can be kept slow */
	uint32_t hold_sends_us;
	/* Where adapters differ. */
	uint32_t reset_purges;         /* RESET and destroy take a QPN's completions away */
	uint32_t err_flushes_receives; /* ERR completes what was posted to be received */
	uint32_t err_gives_back_sent;  /* and UD's and UC's unsignalled sends that were executed,
	                                  but for those before one with a completion */
	uint32_t raises_last_wqe;      /* IBV_EVENT_QP_LAST_WQE_REACHED */
	uint32_t live_rq_psn;          /* ibv_query_qp tells the responder's PSN, else 0 */
	uint32_t live_sq_psn;          /* and the requester's */
	uint32_t given_psns;           /* those that are not live: what the QP was given, not 0 */
	uint32_t loss_flushes;         /* a VF that is taken by surprise gives work back before */
	uint32_t loss_is_fatal;        /* and tells DEVICE_FATAL, else GID_CHANGE */
	uint32_t colliding_numbers;    /* QPNs and keys start alike on every slot */
	uint32_t swapped_numbers;      /* and, after a move, each is another's: hca_numbers.h */
	uint32_t shifted_tables; /* on devices opened from now on GIDs and P_Keys stand elsewhere */
	uint32_t strange_clocks; /* on those of VMs that have moved the clock is another one */
	uint32_t ethernet;       /* devices opened from now on are on Ethernet: hca_ethernet.h */
};

/* What happens to one packet. */
struct fault_fate {
	bool drop;
	bool duplicate;
	uint64_t delay_ns;
};

/* A sender's memory: one per process for the dice, one per queue pair for the cut. */
struct fault_dice {
	uint64_t state;
	uint64_t seed; /* with which state began */
};

struct fault_cut {
	bool active;
	uint32_t last_psn; /* a packet not after it begins another try */
};

struct fault_fate data_faults_decide(struct data_faults *faults, struct fault_dice *dice,
        struct fault_cut *cut, const struct packet *packet);
/* How long the completion of a receive stays hidden; 0: not at all. */
uint64_t data_faults_hold_ns(
        const struct data_faults *faults, struct fault_dice *dice, bool is_receive);
enum packet_kind packet_kind(const struct packet *packet);
/* As settings call it. */
const char *packet_kind_name(enum packet_kind kind);

/*
 * One setting, as the command line says it; under the fabric's lock:
 *
 *   drop.KIND=P  duplicate.KIND=P  delay.KIND=P:MICROSECONDS  cut=P:PACKET
 *
 * for all or, with SLID>DLID: in front, for packets from one LID to another, KIND being request,
 * response, ack, rnr, uc or ud and P a probability from 0 to 1;
 *
 *   LID/QPN:ACTION=WHERE  LID/QPN:pass
 *
 * for the work of one queue pair (qp_faults.h);
 *
 *   hold=P:MICROSECONDS  hold_until_query=0|1  hold_send=P:MICROSECONDS  seed=N  none
 *   reset_purges= err_flushes_receives= raises_last_wqe= err_gives_back_sent=0|1
 *   loss_flushes= loss_is_fatal=0|1
 *   live_rq_psn= live_sq_psn= given_psns=0|1
 *   colliding_numbers= swapped_numbers= shifted_tables= strange_clocks= ethernet=0|1
 *   preset=mlx5|rxe
 *
 * "none" lets packets and completions pass again; a preset sets the three rows before it. -EINVAL:
 * not understood; -ENOSPC: too many pairs.
 */
int data_faults_set(struct data_faults *faults, const char *setting);

struct data_faults *data_faults_of(const struct fabric *fabric);
size_t data_faults_size(const struct net *net);
void data_faults_init(struct fabric *fabric, const struct net *net);

#endif
