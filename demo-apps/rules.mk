# demo-apps: what a newcomer runs first.

RC_VERIFY_CHECKERS := $(addprefix demo-apps/rc_verify/,message.c sequence_check.c slot_ring.c add_ledger.c workload.c \
	send_queue.c pauses.c)
$(call program,rc-verify,$(RC_VERIFY_CHECKERS) $(addprefix demo-apps/rc_verify/,main.c options.c rendezvous.c endpoint.c \
	lane.c requester.c receiver.c partner.c set_up.c run.c report.c self_test.c),-libverbs)

$(call unit_test,demo_sequence_check,$(RC_VERIFY_CHECKERS),)
$(call unit_test,demo_slot_ring,$(RC_VERIFY_CHECKERS),)
$(call unit_test,demo_requester_checks,$(RC_VERIFY_CHECKERS),)
