# tests/net: frames as lines of JSON, for tests that play a root, a host or a process.

# vsock over unix sockets, preloaded.
$(call library,libfake_vsock.so,tests/net/fake_vsock.c,)
$(call program,frame_tool,tests/net/frame_tool.c tests/net/frame_json.c $(FRAME_SOURCES),-lprotobuf-c -ljson-c)
