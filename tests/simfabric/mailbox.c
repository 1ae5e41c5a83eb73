/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
#include "simfabric/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "simfabric/event_heap.h"
#include "simfabric/fault_points.h"
#include "simfabric/mad_fields.h"
#include "simfabric/net_file.h"
#include "simfabric/topology.h"

enum {
	TID_AGENT_BITS = 5,
	TID_MAILBOX_BITS = 12,
	TID_GENERATION_BITS = 15,
};

struct mailbox_table {
	uint64_t ever_used;
	uint64_t next_generation;
	struct mailbox rows[MAILBOXES_MAX];
	uint32_t first_on_port[]; /* index + 1; derived from the rows */
};

/* This process's writing ends, by mailbox. */
struct wake_fds {
	struct {
		int fd; /* + 1 */
		uint32_t generation;
	} rows[MAILBOXES_MAX];
};

static struct mailbox_table *table(const struct fabric *fabric)
{
	return fabric_section(fabric, SECTION_MAILBOXES);
}

size_t mailboxes_size(const struct net *net)
{
	return sizeof(struct mailbox_table) + net->port_count * sizeof(uint32_t);
}

struct mailbox *mailbox_at(const struct fabric *fabric, uint32_t index)
{
	return &table(fabric)->rows[index];
}

uint32_t mailbox_first(const struct fabric *fabric, uint32_t port)
{
	return table(fabric)->first_on_port[port];
}

static void link_to_port(struct fabric *fabric, uint32_t index)
{
	struct mailbox *m = mailbox_at(fabric, index);

	m->next_on_port = table(fabric)->first_on_port[m->port];
	table(fabric)->first_on_port[m->port] = index + 1;
}

static void unlink_from_port(struct fabric *fabric, uint32_t index)
{
	uint32_t *link = &table(fabric)->first_on_port[mailbox_at(fabric, index)->port];

	while (*link && *link != index + 1)
		link = &mailbox_at(fabric, *link - 1)->next_on_port;
	if (*link)
		*link = mailbox_at(fabric, index)->next_on_port;
}

int mailbox_open(struct fabric *fabric, uint32_t port, uint32_t *index)
{
	struct mailbox_table *t = table(fabric);
	struct mailbox *m;
	uint32_t i = 0;

	while (i < MAILBOXES_MAX && t->rows[i].is_used)
		i++;
	if (i == MAILBOXES_MAX)
		return -ENFILE;
	m = &t->rows[i];
	memset(m, 0, sizeof(*m));
	m->client = fabric->client;
	m->port = port;
	m->generation = ++t->next_generation & ((1u << TID_GENERATION_BITS) - 1);
	if (t->ever_used <= i)
		t->ever_used = i + 1;
	fault_point(mailbox_half_open);
	link_to_port(fabric, i);
	fault_point(mailbox_linked);
	__atomic_store_n(&m->is_used, 1, __ATOMIC_RELEASE);
	*index = i;
	return 0;
}

void mailbox_close(struct fabric *fabric, uint32_t index)
{
	struct mailbox *m = mailbox_at(fabric, index);
	char path[PATH_MAX];
	uint32_t message;

	if (!m->is_used)
		return;
	while ((message = mailbox_take(fabric, index)) != NO_INDEX)
		message_free(fabric, message);
	unlink_from_port(fabric, index);
	fault_point(mailbox_half_closed);
	fabric_side_path(fabric, "wake", index, path, sizeof(path));
	unlink(path);
	__atomic_store_n(&m->is_used, 0, __ATOMIC_RELEASE);
}

void mailboxes_client_gone(struct fabric *fabric, uint32_t client)
{
	for (uint32_t i = 0; i < table(fabric)->ever_used; i++) {
		if (mailbox_at(fabric, i)->is_used && mailbox_at(fabric, i)->client == client)
			mailbox_close(fabric, i);
	}
}

static bool has_oui(uint8_t mgmt_class)
{
	return mgmt_class >= CLASS_VENDOR_OUI_FIRST && mgmt_class <= CLASS_VENDOR_OUI_LAST;
}

static bool is_same_protocol(const struct agent *a, const struct agent *b)
{
	return a->mgmt_class == b->mgmt_class && a->class_version == b->class_version &&
	       (!has_oui(a->mgmt_class) || !memcmp(a->oui, b->oui, sizeof(a->oui)));
}

static bool is_taken(const struct fabric *fabric, uint32_t port, const struct agent *agent)
{
	for (uint32_t i = mailbox_first(fabric, port); i;) {
		const struct mailbox *m = mailbox_at(fabric, i - 1);

		for (unsigned id = 0; id < MAILBOX_AGENTS; id++) {
			const struct agent *other = &m->agents[id];

			if (other->is_used && is_same_protocol(other, agent) &&
			        ((other->methods[0] & agent->methods[0]) ||
			                (other->methods[1] & agent->methods[1])))
				return true;
		}
		i = m->next_on_port;
	}
	return false;
}

int agent_register(struct fabric *fabric, uint32_t mailbox, const struct agent *agent)
{
	struct mailbox *m = mailbox_at(fabric, mailbox);

	if (is_taken(fabric, m->port, agent))
		return -EINVAL;
	for (unsigned id = 0; id < MAILBOX_AGENTS; id++) {
		if (m->agents[id].is_used)
			continue;
		m->agents[id] = *agent;
		m->agents[id].is_used = 0;
		fault_point(agent_half_registered);
		__atomic_store_n(&m->agents[id].is_used, 1, __ATOMIC_RELEASE);
		return (int)id;
	}
	return -ENOMEM;
}

int agent_unregister(struct fabric *fabric, uint32_t mailbox, unsigned id)
{
	struct mailbox *m = mailbox_at(fabric, mailbox);

	if (id >= MAILBOX_AGENTS || !m->agents[id].is_used)
		return -EINVAL;
	m->agents[id].is_used = 0;
	return 0;
}

uint32_t agent_tid_high(const struct fabric *fabric, uint32_t mailbox, unsigned id)
{
	return mailbox_at(fabric, mailbox)->generation << (TID_MAILBOX_BITS + TID_AGENT_BITS) |
	       mailbox << TID_AGENT_BITS | id;
}

bool agent_of_response(
        const struct fabric *fabric, uint32_t port, uint64_t tid, uint32_t *mailbox, unsigned *id)
{
	uint32_t high = tid >> 32;
	uint32_t index = high >> TID_AGENT_BITS & (MAILBOXES_MAX - 1);
	unsigned agent = high & (MAILBOX_AGENTS - 1);
	const struct mailbox *m = mailbox_at(fabric, index);

	if (!m->is_used || m->port != port || !m->agents[agent].is_used ||
	        high != agent_tid_high(fabric, index, agent))
		return false;
	*mailbox = index;
	*id = agent;
	return true;
}

static bool takes(const struct agent *agent, const uint8_t *mad, size_t bytes)
{
	uint8_t method = mad[3] & 0x7f;

	return agent->is_used && agent->mgmt_class == mad[1] && agent->class_version == mad[2] &&
	       agent->methods[method / 64] >> method % 64 & 1 &&
	       (!has_oui(mad[1]) ||
	               (bytes >= VENDOR_OUI + sizeof(agent->oui) &&
	                       !memcmp(agent->oui, mad + VENDOR_OUI, sizeof(agent->oui))));
}

bool agent_of_request(const struct fabric *fabric, uint32_t port, const uint8_t *mad, size_t bytes,
        uint32_t *mailbox, unsigned *id)
{
	for (uint32_t i = mailbox_first(fabric, port); i;) {
		const struct mailbox *m = mailbox_at(fabric, i - 1);

		for (unsigned agent = 0; agent < MAILBOX_AGENTS; agent++) {
			if (!takes(&m->agents[agent], mad, bytes))
				continue;
			*mailbox = i - 1;
			*id = agent;
			return true;
		}
		i = m->next_on_port;
	}
	return false;
}

/*
 * Opened for reading too: a FIFO whose reader has died must neither refuse nor raise SIGPIPE. The
 * descriptor is kept for the next wake.
 */
static int wake_fd(struct fabric *fabric, uint32_t index)
{
	uint32_t generation = mailbox_at(fabric, index)->generation;
	char path[PATH_MAX];
	int *fd;

	if (!fabric->wakes)
		fabric->wakes = calloc(1, sizeof(*fabric->wakes));
	if (!fabric->wakes)
		return -1;
	fd = &fabric->wakes->rows[index].fd;
	if (*fd && fabric->wakes->rows[index].generation == generation)
		return *fd - 1;
	if (*fd)
		close(*fd - 1);
	fabric_side_path(fabric, "wake", index, path, sizeof(path));
	*fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) + 1;
	fabric->wakes->rows[index].generation = generation;
	return *fd - 1;
}

void mailbox_forget_wakes(struct fabric *fabric)
{
	for (uint32_t i = 0; fabric->wakes && i < MAILBOXES_MAX; i++) {
		if (fabric->wakes->rows[i].fd)
			close(fabric->wakes->rows[i].fd - 1);
	}
	free(fabric->wakes);
	fabric->wakes = NULL;
}

static void wake(struct fabric *fabric, uint32_t index)
{
	struct mailbox *m = mailbox_at(fabric, index);
	int fd;

	if (m->is_wake_written)
		return;
	fd = wake_fd(fabric, index);
	if (fd >= 0 && write(fd, "", 1) == 1)
		m->is_wake_written = 1;
}

bool mailbox_post(struct fabric *fabric, uint32_t index, uint32_t message)
{
	struct mailbox *m = mailbox_at(fabric, index);
	struct message *new = message_at(fabric, message);

	if (m->queued_bytes + new->length > MAILBOX_MAX_QUEUED_BYTES) {
		m->dropped++;
		message_free(fabric, message);
		return false;
	}
	new->next = 0;
	fault_point(mailbox_message_unlinked);
	__atomic_store_n(m->head ? &message_at(fabric, m->tail - 1)->next : &m->head, message + 1,
	        __ATOMIC_RELEASE);
	fault_point(mailbox_tail_stale);
	m->tail = message + 1;
	m->queued_bytes += new->length;
	wake(fabric, index);
	return true;
}

uint32_t mailbox_peek(const struct fabric *fabric, uint32_t index)
{
	return mailbox_at(fabric, index)->head - 1;
}

uint32_t mailbox_take(struct fabric *fabric, uint32_t index)
{
	struct mailbox *m = mailbox_at(fabric, index);
	uint32_t message = m->head - 1;

	if (!m->head)
		return NO_INDEX;
	m->queued_bytes -= message_at(fabric, message)->length;
	__atomic_store_n(&m->head, message_at(fabric, message)->next, __ATOMIC_RELEASE);
	fault_point(mailbox_message_taken);
	return message;
}

void mailbox_sleep(struct fabric *fabric, uint32_t index, int fifo)
{
	struct mailbox *m = mailbox_at(fabric, index);
	char bytes[16];

	if (!m->is_wake_written)
		return;
	while (read(fifo, bytes, sizeof(bytes)) > 0)
		;
	m->is_wake_written = 0;
}

/* Cut the queue where it does not hold together any more, and count it anew. */
static void mend_queue(struct fabric *fabric, struct mailbox *m, struct message_marks *marks)
{
	uint32_t *link = &m->head;

	m->tail = 0;
	m->queued_bytes = 0;
	while (*link) {
		if (!message_mark(marks, *link - 1)) {
			*link = 0;
			return;
		}
		m->tail = *link;
		m->queued_bytes += message_at(fabric, *link - 1)->length;
		link = &message_at(fabric, *link - 1)->next;
	}
}

void mailboxes_recover(struct fabric *fabric)
{
	struct mailbox_table *t = table(fabric);
	struct message_marks *marks = message_marks_begin(fabric);

	if (!marks)
		abort(); /* the lock stays unrecovered for one that has memory */
	memset(t->first_on_port, 0, port_count(fabric) * sizeof(t->first_on_port[0]));
	for (uint32_t i = 0; i < t->ever_used; i++) {
		if (!t->rows[i].is_used)
			continue;
		link_to_port(fabric, i);
		mend_queue(fabric, &t->rows[i], marks);
	}
	events_mark_messages(fabric, marks);
	message_marks_end(marks);
	for (uint32_t i = 0; i < t->ever_used; i++) {
		t->rows[i].is_wake_written = 0;
		if (t->rows[i].is_used)
			wake(fabric, i);
	}
}
