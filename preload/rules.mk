# preload: libtether.so.

SHIM_SOURCES := $(addprefix preload/,real_verbs.c passed_on.c load.c intercept_dlopen.c library_search.c settings.c control.c device.c device_list.c lost_devices.c lost_peers.c refused_work.c kept_errors.c doubted_errors.c \
	outer_fd.c completion_arm.c completion_channel.c async_events.c move_events.c \
	memory.c shifted_regions.c lock_limit.c memory_map.c memory_windows.c window_work.c window_binding.c completions.c completion_queue.c completion_ring.c queue_pair.c queue_pair_states.c shared_receive_queue.c xrc.c \
	address_handle.c address_route.c data_path.c data_path_poll.c data_path_ex.c data_path_cq_ex.c translation.c fork_watch.c reserved_numbers.c aside.c work_log.c gate.c settlement.c sq_psns.c move.c move_address.c veto.c drain.c evidence.c rebuild_in_place.c rebuild_away.c rebuild.c \
	shown_clock.c device_clock.c completion_stamps.c completion_moderation.c \
	reconnect.c step_prepare.c step_vote.c step_rebuild.c step_ends.c step_works.c steps.c announcements.c interest_answer.c interest_room.c interests.c interest_questions.c interest_replies.c interest_hello.c self.c agent_link.c agent_service.c agent_socket.c \
	known_gids.c places.c remote_place.c datagram_numbers.c datagram_records.c heard_senders.c grh.c datagram_headers.c port_tables.c port_indices.c port_questions.c datagrams.c datagram_questions.c datagram_counts.c arrivals.c multicast.c \
	real_rdmacm.c connection_manager.c connection_calls.c connection_events.c connection_news.c connection_ends.c connection_moves.c connection_listeners.c connection_devices.c partings.c)

$(B)/gen/libtether.map: preload/libtether.map.in preload/wrapped_symbols.def preload/wrapped_connections.def | $(B)/deps.stamp
	@mkdir -p $(@D)
	$(Q)$(CC) -E -P -x c -o $@ $<

# Not linked with libibverbs: it would be loaded by every program.
SHIM_LIBS := -l:libprotobuf-c.a -ldl -lpthread
SHIM_LDFLAGS := -Wl,--version-script=$(B)/gen/libtether.map -Wl,--exclude-libs,ALL

$(call library,libtether.so,$(SHIM_SOURCES) $(FRAME_SOURCES) $(BASE_SOURCES),$(SHIM_LIBS),$(SHIM_LDFLAGS))
$(B)/lib/libtether.so: $(B)/gen/libtether.map

$(call unit_test,shim_gate,preload/gate.c,-lpthread)
$(call unit_test,shim_gate_slip,,-lpthread)
$(call unit_test,shim_clock,preload/shown_clock.c,)
$(call unit_test,shim_grh,preload/grh.c,)
$(call fuzzer,grh,preload/grh.c,)
$(call unit_test,shim_move_address,preload/move_address.c $(FRAME_SOURCES),-lprotobuf-c)
$(call unit_test,shim_device_names,preload/device_list.c preload/known_gids.c $(FRAME_SOURCES) $(BASE_SOURCES),-lprotobuf-c -lpthread)
$(call unit_test,shim_remote_place,preload/remote_place.c preload/known_gids.c $(FRAME_SOURCES) $(BASE_SOURCES),-lprotobuf-c -lpthread)
$(call unit_test,shim_settlement,preload/settlement.c preload/work_log.c,-lpthread)
$(call unit_test,shim_work_log,preload/work_log.c preload/completion_ring.c preload/translation.c,-lpthread)

# Everything but what binds the real verbs and talks to an agent.
SHIM_BARE := $(filter-out %/real_verbs.c %/real_rdmacm.c %/load.c %/intercept_dlopen.c %/library_search.c %/agent_link.c %/agent_service.c %/agent_socket.c %/announcements.c %/interest_answer.c %/interest_room.c %/interests.c %/interest_questions.c %/interest_replies.c %/interest_hello.c %/partings.c %/datagram_questions.c %/self.c,$(SHIM_SOURCES)) \
	$(FRAME_SOURCES) $(BASE_SOURCES)
$(call unit_test,shim_wrapped,tests/unit/shim_noted_verbs.c tests/unit/shim_no_rdmacm.c $(SHIM_BARE),-lprotobuf-c -lpthread)

$(call unit_test,shim_binding,preload/real_verbs.c,-ldl)

# What there is to wrap, and what was made of it.
$(call unit_test,shim_connection_surface,tests/unit/elf_symbols.c,-ldl)
$(B)/unit/shim_connection_surface: $(B)/lib/libtether.so
$(call unit_test,shim_surface,tests/unit/elf_symbols.c tests/unit/surface_table.c,-ldl)
$(B)/unit/shim_surface: $(B)/lib/libtether.so

.PHONY: surface-table
surface-table: $(B)/unit/shim_surface
	$(Q)$< --write

# The library over a fake HCA.
SHIM_HARNESS := $(SHIM_BARE) $(addprefix tests/unit/,shim_fake_hca.c shim_fake_loss.c shim_fake_devices.c shim_fake_memory.c shim_fake_completions.c \
	shim_fake_queue_pairs.c shim_fake_shared_queues.c shim_fake_wire.c shim_fake_windows.c shim_fake_rarities.c shim_fake_tables.c shim_fake_ethernet.c shim_fake_clocks.c shim_fake_events.c \
	shim_fake_rdmacm.c shim_fake_cm_devices.c shim_fake_cm_events.c shim_ends.c shim_end_work.c shim_harness.c shim_harness_agent.c shim_harness_root.c shim_watched.c) tests/simfabric/verbs_face_acks.c
$(call unit_test,shim_old_symbols,$(SHIM_HARNESS),-rdynamic -lprotobuf-c -lpthread -ldl)
$(call unit_test,shim_contexts,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_signals,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_refused,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_builders,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_post,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_move,tests/unit/shim_sides.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_ethernet,preload/interest_answer.c tests/unit/shim_ethernet_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_ethernet_gids,tests/unit/shim_ethernet_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_both_ends,tests/unit/shim_sides.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_loopback,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_move_stopped,tests/unit/shim_sides.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_move_numbers,tests/unit/shim_sides.c $(SHIM_HARNESS),-lprotobuf-c -lpthread -Xlinker --wrap=rows_get)
$(call unit_test,shim_move_paths,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_steps,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_steps_aborted,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_steps_silence,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_steps_evidence,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_refusing_ends,tests/unit/shim_sides.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_reviewed,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_processes,$(SHIM_HARNESS) preload/load.c,-lprotobuf-c -lpthread)
$(call unit_test,shim_forked,$(SHIM_HARNESS) preload/load.c,-lprotobuf-c -lpthread)
$(call unit_test,shim_process_numbers,$(SHIM_HARNESS) preload/load.c,-lprotobuf-c -lpthread)
$(call unit_test,shim_async_events,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_event_moves,tests/unit/shim_unrest.c tests/unit/shim_sleepers.c tests/unit/shim_sleeper_turns.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_datagram_sleepers,tests/unit/shim_unrest.c tests/unit/shim_talkers.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_completion_events,tests/unit/shim_channels.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_completion_sleepers,tests/unit/shim_channels.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_unplanned,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_missed_peers,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_missed_windows,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_refused_windows,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_doubted_errors,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_kept_errors,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_forked_errors,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_errors_beside_steps,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_refused_in_moves,tests/unit/shim_letters.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_refused_arms,tests/unit/shim_channels.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_lost_devices,tests/unit/shim_channels.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_lost_noticed,tests/unit/shim_channels.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_lost_in_moves,tests/unit/shim_channels.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_shared,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_windows,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_windows_type_1,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_windows_moves,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_windows_in_place,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_windows_open_work,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_windows_refused,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_windows_invalidated,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_windows_posted,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_windows_dead_keys,tests/unit/shim_windows_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_regions,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_attributes,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_xrc,tests/unit/shim_xrc_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_xrc_domains,tests/unit/shim_xrc_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_cq_ex,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_stamps,tests/unit/shim_stamped_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_device_clock,tests/unit/shim_stamped_ends.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_moderation,tests/unit/shim_channels.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_open,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_connecting,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_vetoes,tests/unit/shim_connections.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_connection_ends,tests/unit/shim_connections.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_connection_listeners,tests/unit/shim_connections.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_connection_devices,tests/unit/shim_connections.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_connection_calls,tests/unit/shim_connections.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_strangers,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_tables,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_datagram_numbers,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_datagrams,tests/unit/shim_letters.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_datagrams_addressed,tests/unit/shim_letters.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_datagrams_kept,tests/unit/shim_letters.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_datagrams_arrivals,tests/unit/shim_letters.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_datagrams_ethernet,tests/unit/shim_ethernet_letters.c tests/unit/shim_letters.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_datagram_headers,tests/unit/shim_ethernet_letters.c tests/unit/shim_letters.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_address_routes,tests/unit/shim_ethernet_letters.c tests/unit/shim_letters.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_strangers_ethernet,tests/unit/shim_ethernet_letters.c tests/unit/shim_letters.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_uc,tests/unit/shim_letters.c $(SHIM_HARNESS),-lprotobuf-c -lpthread)
$(call unit_test,shim_multicast,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
# The room itself is part of the agent that is played.
PLAYED_AGENT := $(addprefix tests/unit/,shim_played_library.c shim_played_agent.c shim_askers.c) preload/partings.c preload/announcements.c preload/remote_place.c preload/interest_answer.c preload/interest_room.c preload/interests.c preload/interest_questions.c preload/interest_replies.c preload/interest_hello.c preload/reserved_numbers.c preload/translation.c preload/datagram_numbers.c preload/datagram_records.c preload/heard_senders.c preload/gate.c preload/self.c $(FRAME_SOURCES) $(BASE_SOURCES)
$(call unit_test,shim_interest_room,preload/announcements.c preload/remote_place.c preload/interest_answer.c preload/interest_room.c preload/interests.c preload/interest_questions.c preload/interest_replies.c preload/interest_hello.c preload/translation.c preload/datagram_numbers.c preload/datagram_records.c preload/heard_senders.c preload/gate.c $(FRAME_SOURCES) $(BASE_SOURCES),\
	-lprotobuf-c -lpthread -Xlinker --wrap=log_line)
$(call unit_test,shim_agent_link,$(PLAYED_AGENT),-lprotobuf-c -lpthread)
$(call unit_test,shim_agent_partings,$(PLAYED_AGENT),-lprotobuf-c -lpthread)
$(call unit_test,shim_agent_announcements,$(PLAYED_AGENT),-lprotobuf-c -lpthread)
$(call unit_test,shim_agent_handles,$(PLAYED_AGENT),-lprotobuf-c -lpthread)
$(call unit_test,shim_agent_senders,$(PLAYED_AGENT),-lprotobuf-c -lpthread)
$(call unit_test,shim_datagram_tables,preload/datagram_records.c preload/translation.c preload/gate.c $(FRAME_SOURCES) $(BASE_SOURCES),-lprotobuf-c -lpthread)
$(call unit_test,shim_threads,$(SHIM_HARNESS),-lprotobuf-c -lpthread)
