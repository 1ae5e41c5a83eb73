# Programs of tests/faults that have no other use.

$(call program,loss-load,$(wildcard tests/faults/loss_load*.c),-libverbs -lpthread)
