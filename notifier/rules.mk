# notifier: tether-agent, and what other folders share: wire/ and base/.

$(B)/gen/tether.pb-c.c $(B)/gen/tether.pb-c.h &: notifier/wire/tether.proto | $(B)/deps.stamp
	@mkdir -p $(B)/gen
	$(Q)protoc-c --proto_path=notifier/wire --c_out=$(B)/gen tether.proto

WIRE_SOURCES := gen/tether.pb-c.c
BASE_SOURCES := notifier/base/log.c notifier/base/deadlines.c

# What other programs link: a link's frames and tables, the link itself, the relay.
FRAME_SOURCES := notifier/wire/frame.c notifier/wire/rows.c $(WIRE_SOURCES)
LINK_SOURCES := notifier/connection.c notifier/channel.c notifier/channel_unix.c $(FRAME_SOURCES)
LINK_LIBS := -levent_core -lprotobuf-c

$(call unit_test,notifier_frame,$(FRAME_SOURCES),-lprotobuf-c)
