# vm: what the lab of guests needs beside Python, and what runs in guests and is of no use elsewhere.

$(call program,vm-hub,tests/vm/hub.c,)
$(call program,vm-runner,tests/vm/in_guest/runner.c,)
$(call program,tcp-echo,tests/vm/in_guest/tcp_echo.c,)
$(call program,vm-tsc,tests/vm/tsc.c,)
$(call program,plain-rebuild,tests/vm/plain_rebuild.c $(VERIFY_SOURCES),-libverbs)
$(call program,cm-verify,tests/vm/cm_verify.c,-lrdmacm -libverbs)

.PHONY: bench-vm
bench-vm: $(B)/vm/ready
	$(Q)tests/vm/run_bench_vm --build $(B) $(BENCH)
