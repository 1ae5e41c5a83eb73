# vm: what runs in guests and is of no use elsewhere.

$(call program,plain-rebuild,tests/vm/plain_rebuild.c $(VERIFY_SOURCES),-libverbs)
