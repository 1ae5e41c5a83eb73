# notifier: tether-agent, and what other folders share: wire/ and base/.

$(B)/gen/tether.pb-c.c $(B)/gen/tether.pb-c.h &: notifier/wire/tether.proto | $(B)/deps.stamp
	@mkdir -p $(B)/gen
	$(Q)protoc-c --proto_path=notifier/wire --c_out=$(B)/gen tether.proto

WIRE_SOURCES := gen/tether.pb-c.c
BASE_SOURCES := notifier/base/log.c notifier/base/deadlines.c
