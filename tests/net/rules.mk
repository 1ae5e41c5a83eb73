# tests/net: frames as lines of JSON, for tests that play a root, a host or a process.

$(call program,frame_tool,tests/net/frame_tool.c tests/net/frame_json.c $(FRAME_SOURCES),-lprotobuf-c -ljson-c)
