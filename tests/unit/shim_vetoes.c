/* SPDX-License-Identifier: GPL-2.0-only OR Linux-OpenIB */
/* Every row of preload/vetoes.def: refused by its name at PREPARE, and nothing was touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/device.h"
#include "preload/xrc.h"
#include "tests/unit/shim_connections.h"

enum { PAGE = 4096, DEEP = 100 };

enum veto {
#define VETO(id, name, text) VETO_##id,
#include "preload/vetoes.def"
	VETO_COUNT,
};

static const char *const names[] = {
#define VETO(id, name, text) name,
#include "preload/vetoes.def"
};

static struct harness harness;

/* ---- a file that this process seems to hold ---- */

static int rdma_cm_fd = -1;

/* In place of libc's. */
ssize_t readlinkat(int directory, const char *name, char *target, size_t room)
{
	static const char rdma_cm[] = "/dev/infiniband/rdma_cm";
	size_t length = sizeof(rdma_cm) - 1 < room ? sizeof(rdma_cm) - 1 : room;

	if (rdma_cm_fd < 0 || atoi(name) != rdma_cm_fd)
		return syscall(SYS_readlinkat, directory, name, target, room);
	memcpy(target, rdma_cm, length);
	return (ssize_t)length;
}

/* ---- what programs do that cannot be moved, and how they let go of it ---- */

static struct ibv_qp *other_qp;
static struct ibv_xrcd *domain;
static struct ibv_mr *gone;
static pid_t child;

static void other_qp_make(struct harness *h, enum ibv_qp_type type, uint32_t depth)
{
	struct ibv_qp_init_attr attr = {.send_cq = h->vm.cq,
	        .recv_cq = h->vm.cq,
	        .cap = {.max_send_wr = depth, .max_recv_wr = 1, .max_send_sge = 1},
	        .qp_type = type};

	other_qp = ibv_create_qp(h->vm.pd, &attr);
	assert_non_null(other_qp);
}

static void other_qp_destroy(struct harness *h)
{
	assert_int_equal(ibv_destroy_qp(other_qp), 0);
}

static void qp_to(struct harness *h, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = {.qp_state = state};

	assert_int_equal(ibv_modify_qp(h->vm.qp, &attr, IBV_QP_STATE), 0);
}

static void qp_state(struct harness *h)
{
	qp_to(h, IBV_QPS_SQD);
}

static void qp_state_end(struct harness *h)
{
	qp_to(h, IBV_QPS_RTS);
}

static void alternate_path(struct harness *h)
{
	struct ibv_qp_attr attr = {.alt_port_num = 1};

	assert_int_equal(ibv_modify_qp(h->vm.qp, &attr, IBV_QP_ALT_PATH), 0);
}

static void ece(struct harness *h)
{
	struct ibv_ece options = {.vendor_id = 1, .options = 1};

	assert_int_equal(ibv_set_ece(h->vm.qp, &options), 0);
}

static void completion_room(struct harness *h)
{
	fake.resizes_no_cqs = true;
	other_qp_make(h, IBV_QPT_RC, DEEP);
}

static void xrc_shared(struct harness *h)
{
	struct ibv_xrcd_init_attr attr = {
	        .comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS, .fd = -1};

	domain = ibv_open_xrcd(h->vm.context, &attr);
	assert_non_null(domain);
	xrc_domain_of(domain)->has_foreign = true;
}

static void xrc_shared_end(struct harness *h)
{
	assert_int_equal(ibv_close_xrcd(domain), 0);
}

static void memory_unmapped(struct harness *h)
{
	uint8_t *memory =
	        mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	gone = ibv_reg_mr(h->vm.pd, memory, 3 * PAGE, IBV_ACCESS_LOCAL_WRITE);
	assert_non_null(gone);
	munmap(memory + PAGE, PAGE);
}

static void memory_unmapped_end(struct harness *h)
{
	assert_int_equal(ibv_dereg_mr(gone), 0);
}

static void rdma_cm(struct harness *h)
{
	rdma_cm_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(rdma_cm_fd >= 0);
}

static void rdma_cm_end(struct harness *h)
{
	close(rdma_cm_fd);
	rdma_cm_fd = -1;
}

/* ---- ids of rdma_cm ---- */

static struct rdma_event_channel *channel;
static struct rdma_cm_id *id;

static void id_make(enum rdma_port_space ps)
{
	channel = rdma_create_event_channel();
	assert_int_equal(rdma_create_id(channel, &id, NULL, ps), 0);
}

static void id_destroy(struct harness *h)
{
	assert_int_equal(rdma_destroy_id(id), 0);
	rdma_destroy_event_channel(channel);
	fake_rdmacm_reset();
}

static void connecting_cm(struct harness *h)
{
	id_make(RDMA_PS_TCP);
	assert_int_equal(rdma_bind_addr(id, address_of(OF_VM, 7)), 0);
}

static void groups_cm(struct harness *h)
{
	id_make(RDMA_PS_UDP);
	assert_int_equal(rdma_bind_addr(id, address_of(OF_VM, 7)), 0);
	assert_int_equal(rdma_accept(id, &(struct rdma_conn_param){0}), 0);
	assert_int_equal(rdma_join_multicast(id, address_of(OF_VM, 7), NULL), 0);
}

static void imported_device(struct harness *h)
{
	assert_null(ibv_import_device(-1));
}

/* No program can take that back. */
static void imported_device_end(struct harness *h)
{
	device_was_imported = false;
}

/* The peer's is one of the VM's then. */
static void other_device(struct harness *h)
{
	h->vm_alone = true;
}

static void other_device_end(struct harness *h)
{
	h->vm_alone = false;
}

static void elsewhere(struct harness *h)
{
	verbs_are_elsewhere = true;
}

static void elsewhere_end(struct harness *h)
{
	verbs_are_elsewhere = false;
}

static void forked(struct harness *h)
{
	child = fork();
	if (!child)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!child)
		pause();
	assert_true(child > 0);
}

static struct ibv_mw *window;

static void memory_window(struct harness *h)
{
	window = ibv_alloc_mw(h->vm.pd, IBV_MW_TYPE_2);
	assert_non_null(window);
	fake.makes_no_qps = true;
}

static void memory_window_end(struct harness *h)
{
	fake.makes_no_qps = false;
	assert_int_equal(ibv_dealloc_mw(window), 0);
}

static void forked_end(struct harness *h)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void cannot_reopen(struct harness *h)
{
	fake.opens_no_more = true;
}

static void cannot_reopen_end(struct harness *h)
{
	fake.opens_no_more = false;
}

/* As a daemon that has registered its memory and then changes its user. */
static struct rlimit may_lock;

static void lock_memory(bool may)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct *of = &data[CAP_TO_INDEX(CAP_IPC_LOCK)];

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	if (may)
		of->effective |= of->permitted & CAP_TO_MASK(CAP_IPC_LOCK);
	else
		of->effective &= ~(uint32_t)CAP_TO_MASK(CAP_IPC_LOCK);
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static void memory_limit(struct harness *h)
{
	struct rlimit less;

	getrlimit(RLIMIT_MEMLOCK, &may_lock);
	less = may_lock;
	less.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &less), 0);
	lock_memory(false);
}

static void memory_limit_end(struct harness *h)
{
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &may_lock), 0);
	lock_memory(true);
}

/* What no process can take back: the last row. */
static void no_membarrier(struct harness *h)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* @end: without it the program has to end. @also: another one, which comes with it. */
static const struct row {
	void (*begin)(struct harness *h);
	void (*end)(struct harness *h);
	const char *also;
} rows[VETO_COUNT] = {
        [VETO_QP_STATE] = {qp_state, qp_state_end, NULL},
        [VETO_ALTERNATE_PATH] = {alternate_path, NULL, NULL},
        [VETO_ECE] = {ece, NULL, NULL},
        [VETO_COMPLETION_ROOM] = {completion_room, other_qp_destroy, NULL},
        [VETO_XRC_SHARED] = {xrc_shared, xrc_shared_end, NULL},
        [VETO_MEMORY_UNMAPPED] = {memory_unmapped, memory_unmapped_end, NULL},
        [VETO_RDMA_CM] = {rdma_cm, rdma_cm_end, NULL},
        [VETO_CONNECTING_CM] = {connecting_cm, id_destroy, NULL},
        [VETO_GROUPS_CM] = {groups_cm, id_destroy, NULL},
        [VETO_IMPORTED_DEVICE] = {imported_device, imported_device_end, NULL},
        [VETO_OTHER_DEVICE] = {other_device, other_device_end, NULL},
        [VETO_ELSEWHERE] = {elsewhere, elsewhere_end, NULL},
        [VETO_MEMORY_WINDOW] = {memory_window, memory_window_end, NULL},
        [VETO_FORKED] = {forked, forked_end, NULL},
        [VETO_CANNOT_REOPEN] = {cannot_reopen, cannot_reopen_end, NULL},
        [VETO_MEMORY_LIMIT] = {memory_limit, memory_limit_end, NULL},
        [VETO_MEMBARRIER] = {no_membarrier, NULL, NULL},
};

/* ---- the test ---- */

static bool has_refusal(const struct harness *h, const char *name)
{
	for (size_t i = 0; i < h->answer->n_refusals; i++) {
		if (!strcmp(h->answer->refusals[i]->reason, name))
			return true;
	}
	return false;
}

static void one_message(struct harness *h, struct end *from, struct end *to)
{
	static uint64_t number;

	assert_int_equal(end_receive(to, ++number, 0, 64), 0);
	memset(from->memory, (int)number, 64);
	assert_int_equal(end_send(from, number, 0, 64, IBV_SEND_SIGNALED), 0);
	assert_int_equal(fake_execute(real_of(from->qp), 1, true), 1);
	assert_int_equal(harness_poll(h, from), 1);
	assert_int_equal(h->wc[0].status, IBV_WC_SUCCESS);
	assert_int_equal(harness_poll(h, to), 1);
	assert_int_equal(h->wc[0].wr_id, number);
	assert_int_equal(to->memory[63], (uint8_t)number);
}

static void both_ways(struct harness *h)
{
	one_message(h, &h->vm, &h->peer);
	one_message(h, &h->peer, &h->vm);
}

static void is_refused_by_its_name_and_nothing_is_touched(void **state)
{
	enum veto veto = (enum veto)(uintptr_t)*state;
	const struct row *row = &rows[veto];
	struct harness *h = &harness;
	struct ibv_qp *real = real_of(h->vm.qp);
	unsigned live;

	if (!row->begin)
		fail_msg("%s has no row here", names[veto]);
	both_ways(h);
	row->begin(h);
	live = fake.live_objects;
	harness_expect(h, TETHER__STEP__STEP_PREPARE, REFUSED);
	assert_true(has_refusal(h, names[veto]));
	assert_int_equal(h->answer->n_refusals, row->also ? 2 : 1);
	assert_true(!row->also || has_refusal(h, row->also));
	assert_int_equal(fake.live_objects, live);
	assert_ptr_equal(real_of(h->vm.qp), real);
	both_ways(h);
	if (!row->end)
		return;
	row->end(h);
	harness_move(h);
	both_ways(h);
}

static int setup(void **state)
{
	harness_begin(&harness, (struct harness){0});
	return 0;
}

static int teardown(void **state)
{
	harness_close(&harness);
	return 0;
}

int main(void)
{
	struct CMUnitTest tests[VETO_COUNT] = {0};

	for (uintptr_t veto = 0; veto < VETO_COUNT; veto++) {
#ifdef TETHER_TSAN
		if (veto == VETO_MEMBARRIER)
			continue; /* it is not needed there */
#endif
		tests[veto] = (struct CMUnitTest){.name = names[veto],
		        .test_func = is_refused_by_its_name_and_nothing_is_touched,
		        .setup_func = setup,
		        .teardown_func = teardown,
		        .initial_state = (void *)veto};
	}
	return cmocka_run_group_tests_name("vetoes", tests, NULL, NULL);
}
