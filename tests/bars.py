"""The bars, and the tests behind each: `test_bars.py` checks that they exist, `promises.py` that they ran."""

FIRST = """
R01 R02 R03 R05 R07 R08 R09 R10 R11 R12 R13 R14 R16 R17 R18 R19 R20 R21 R30 R31 R32 R33 R34 R35
R36 R41 R42 R43 R44 R45 R46 R49 R50 R51 R52 R53 R54 R60 R61 R70 R71 R72 R73
S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11 S12 S13
S14 S15 S20 S21 S22 S23 S24 S25 S26 S27 S28 S29 S30 S31 S32 S33 S36 S37 S38 S40 S41 S42 S43 S44
S45 S47 S50 S51 S52 S60 S61 S62 S63 S64 S65
"""
"""The bars of first priority (P0)."""

SHOWN = {
    "R01": (
        "r01_one_call_has_one_id_however_often_it_is_sent",
        "a16_busy_twice",
    ),
    "R02": (
        "r02_only_what_provably_was_not_executed_is_sent_again",
        "r02_a_question_whose_outcome_is_unknown_is_sent_once_and_written_down",
        "a01_a_connection_that_is_refused",
        "a03_a_certificate_that_cannot_be_trusted",
    ),
    "R03": (
        "r03_what_fails_carries_the_id_of_its_call",
        "a04_the_server_hangs_up",
        "a20_a_status_that_leaves_the_outcome_unknown",
    ),
    "R05": (
        "r05_there_are_three_attempts_at_most_and_the_last_error_is_raised",
        "a17_busy_for_ever",
    ),
    "R07": (
        "r07_a_wait_is_read_in_all_its_forms",
        "a18_busy_with_a_word_on_when_to_come_again",
    ),
    "R08": ("r08_pauses_are_spread_over_the_whole_interval",),
    "R09": (
        "a07_to_a09_an_answer_that_never_ends",
        "r09_the_deadline_holds_where_no_connection_is_made",
    ),
    "R10": (
        "a21_a_request_that_is_refused",
        "a22_a_key_a_balance_or_a_permission_that_is_missing",
    ),
    "R11": (
        "b02_a_download_that_fails_twice",
        "r11_what_was_left_is_fetched_when_the_same_is_asked_again_and_nothing_is_bought",
    ),
    "R12": (
        "a26_fewer_pictures_than_asked_for",
        "a26_no_picture_at_all",
    ),
    "R13": (
        "r13_a_wait_for_one_call_holds_back_the_others",
        "limited_lets_no_more_go_than_it_may",
    ),
    "R14": (
        "r14_a_key_a_balance_or_a_permission_that_is_missing_stops_the_sweep",
        "r14_a_failure_stays_in_its_cell_and_the_counts_add_up",
    ),
    "R16": (
        "r16_a_plan_counts_and_prices_and_sends_nothing",
        "r16_a_plan_of_a_grid_counts_prices_and_sends_nothing",
    ),
    "R17": (
        "r17_a_large_grid_asks_first",
        "r17_many_pictures_need_a_yes_where_nobody_can_answer",
        "many_pictures_ask_where_someone_can_answer",
    ),
    "R18": (
        "r18_eight_threads_spend_no_more_than_the_cap",
        "r18_a_cap_refuses_the_whole_grid_before_anything_is_sent",
        "caps_and_prices_hold_for_answers_as_for_pictures",
    ),
    "R19": (
        "r19_a_cap_on_the_cost_refuses_a_model_without_a_price",
        "the_status_calls_an_estimate_an_estimate",
    ),
    "R20": ("r20_what_may_have_been_billed_counts_as_spent",),
    "R21": ("r21_replay_calls_no_engine_imports_no_client_and_opens_no_socket",),
    "R30": (
        "r30_a_kill_at_every_step_of_a_call_loses_only_that_call_and_leaves_it_in_the_journal",
        "r30_a_kill_between_answer_and_record_loses_no_answer",
        "a_call_is_in_the_journal_before_it_is_sent_and_out_of_it_when_it_is_answered",
    ),
    "R31": (
        "r31_a_write_that_fails_leaves_the_old_record_and_no_part_of_the_new",
        "r30_a_kill_at_every_step_of_a_call_loses_only_that_call_and_leaves_it_in_the_journal",
    ),
    "R32": ("s37_r32_nothing_stored_is_executed_and_nothing_locks",),
    "R33": ("r33_six_processes_record_twelve_hundred_pictures_in_one_store_and_none_is_lost",),
    "R34": (
        "r34_on_a_full_disk_the_picture_is_returned_and_one_line_says_so",
        "it_works_where_no_byte_can_be_written",
    ),
    "R35": (
        "r35_in_a_read_only_store_hits_are_replayed_and_what_is_new_is_returned_with_one_line",
        "a_folder_that_is_a_file_is_a_store_error",
    ),
    "R36": (
        "r36_an_unreadable_record_is_named",
        "a_flipped_bit_is_noticed",
        "a_damaged_recording_is_an_error_and_is_not_bought_again",
    ),
    "R41": (
        "r41_an_interrupted_post_is_closed_and_marked",
        "r41_an_interrupted_back_off_was_not_billed",
        "r41_an_interrupted_question_sends_nothing",
    ),
    "R42": (
        "r42_an_interrupted_download_keeps_the_picture_that_had_arrived",
        "r42_an_interrupted_loop_keeps_what_is_finished_and_asks_no_more",
    ),
    "R43": ("r43_no_except_keeps_an_interrupt_to_itself",),
    "R44": (
        "r44_a_script_gets_the_picture_wherever_it_asks",
        "r44_a_notebook_that_nbclient_runs_gets_the_picture_in_every_cell",
    ),
    "R45": ("r45_a_kernel_that_is_shut_down_ends_with_four_calls_in_flight",),
    "R46": ("r46_forked_children_get_right_answers_from_connections_of_their_own",),
    "R49": ("r49_a_server_listens_within_two_seconds",),
    "R50": ("r50_it_ends_within_two_seconds_of_its_parent",),
    "R51": (
        "a_bad_request_is_the_error_object",
        "r51_through_the_child_a_picture_is_the_engines_own_to_the_byte",
    ),
    "R52": ("r52_html_keeps_every_picture_and_its_text_alternative",),
    "R53": (
        "a_grid_on_a_cluster_equals_the_grid_at_home",
        "a_worker_that_is_killed_makes_no_second_purchase",
        "all_workers_that_are_killed_make_no_second_purchase",
        "what_a_client_that_is_killed_had_under_way_arrives_in_the_next_one",
        "a_scheduler_that_is_killed_loses_no_answer",
        "a_cap_is_exact_over_all_workers",
    ),
    "R54": (
        "two_machines_buy_the_same_once",
        "of_two_that_see_an_abandoned_claim_one_takes_it_over",
        "what_was_paid_for_is_recorded_later_where_an_upload_failed",
        "a_service_without_conditional_writes_is_refused_before_anything_is_sent",
    ),
    "R60": (
        "where_votes_are_alike_intervals_hold_the_truth_and_equals_are_seldom_told_apart",
        "votes_on_the_same_pictures_are_no_more_prompts",
        "fewer_than_five_voters_speak_for_themselves",
    ),
    "R61": (
        "a_vote_is_in_the_store_before_the_page_says_so",
        "an_answer_that_is_sent_again_or_from_a_second_tab_counts_once",
        "fifty_voters_at_once_lose_no_vote_when_the_page_is_killed",
        "a_vote_that_cannot_be_recorded_is_not_counted_and_says_so",
    ),
    "R70": (
        "a_picture_opens_in_a_dialog_whose_keys_the_notebook_does_not_get",
        "a_stranger_sees_every_picture_before_running_anything",
        "a_converted_notebook_has_the_grid_and_its_recipes",
    ),
    "R71": (
        "each_call_shows_one_line_which_is_gone_at_each_end",
        "a_small_grid_has_frames_of_the_right_shape_in_place_of_what_has_not_arrived",
        "cells_fill_as_they_arrive_and_leave_nothing_but_the_grid",
    ),
    "R72": (
        "tables_and_errors_can_be_used_by_all_and_fit_the_page",
        "pictures_grids_progress_and_the_lightbox_can_be_used_by_all_and_fit_the_page",
        "every_picture_and_label_is_inside_the_page",
    ),
    "R73": (
        "the_option_line_of_a_prompt_is_coloured_and_the_rest_is_prose",
        "in_notebook_7_a_prompt_is_prose_and_the_palette_opens_a_study",
        "each_suggestion_of_an_error_has_a_button_that_copies_it",
        "in_notebook_7_a_suggestion_of_an_error_has_its_button",
        "where_it_is_absent_nothing_else_changes",
    ),
    "S01": (
        "s01_a_key_of_a_vault_is_found_after_the_environments",
        "a_key_given_in_code_outranks_the_environment",
        "where_nobody_can_type_a_login_says_what_to_do_instead",
    ),
    "S02": (
        "s02_nothing_gives_a_key_away",
        "nothing_shows_a_key",
    ),
    "S03": (
        "s03_no_failure_shows_the_key",
        "s03_a_judge_that_repeats_the_key_gives_it_to_nobody",
        "s03_no_interrupt_shows_the_key",
    ),
    "S04": ("s04_the_environment_is_read_where_nothing_can_fail",),
    "S05": (
        "s05_a_malformed_key_is_refused_without_being_repeated",
        "blanks_around_a_key_do_no_harm",
    ),
    "S06": ("s06_every_failure_is_one_post_one_error_and_no_key",),
    "S07": (
        "s07_a_signed_address_and_the_answers_headers_are_not_logged",
        "s10_the_key_is_nowhere",
    ),
    "S08": (
        "s08_no_synced_trait_ever_holds_a_key",
        "s08_what_nbclient_saves_of_a_panel_holds_no_key",
    ),
    "S09": ("s09_a_prompt_that_holds_a_key_is_not_sent",),
    "S10": ("s10_the_key_is_nowhere",),
    "S11": (
        "a24_a_redirect_to_another_host",
        "s11_a_redirect_is_not_followed",
    ),
    "S12": (
        "s12_the_key_goes_to_the_api_and_to_no_other_origin",
        "s12_a_server_that_only_a_file_names_is_sent_nothing_be_it_on_this_machine",
        "s12_no_key_but_its_own_goes_to_an_endpoint",
    ),
    "S13": (
        "s13_an_unsafe_base_url_is_refused_without_repeating_a_password",
        "s13_plain_http_is_for_this_machine_only",
    ),
    "S14": ("s13_an_unsafe_base_url_is_refused_without_repeating_a_password",),
    "S15": (
        "a03_a_certificate_that_cannot_be_trusted",
        "a03_a_certificate_that_can_be_trusted",
    ),
    "S20": (
        "b04_an_address_that_is_not_fetched",
        "s20_a_picture_is_fetched_over_https_or_from_where_the_api_is",
        "b07_redirects_without_end",
    ),
    "S21": (
        "b05_a_name_that_leads_inside",
        "b06_a_name_is_looked_up_once_for_the_check_and_the_connection",
        "s21_an_address_that_is_not_of_the_open_internet",
    ),
    "S22": (
        "a15_a_bomb_of_gzip_inside_gzip",
        "b08_a_picture_without_end",
    ),
    "S23": (
        "s23_a_mutated_answer_is_read_or_is_an_error_of_ours",
        "a14_json_that_is_a_bomb",
    ),
    "S24": ("b18_base64_that_is_none",),
    "S25": (
        "b10_a_picture_that_is_too_large_to_decode",
        "s25_a_picture_above_forty_megapixels_is_not_decoded",
    ),
    "S26": (
        "s26_a_mutated_picture_is_a_picture_or_a_bad_image",
        "the_bytes_of_a_broken_picture_are_kept_and_named",
    ),
    "S27": (
        "s27_a_picture_cut_anywhere_is_never_a_good_one",
        "b11_a_picture_that_is_cut",
    ),
    "S28": (
        "s28_a_preview_carries_nothing_of_the_original_but_its_pixels",
        "b16_a_picture_that_carries_a_script",
    ),
    "S29": ("b15_what_is_no_png_jpeg_or_webp",),
    "S30": ("s30_outside_text_is_escaped_and_nothing_is_active",),
    "S31": ("s31_a_bundle_is_html_one_image_and_text_and_the_same_each_time",),
    "S32": ("s32_text_from_outside_is_html_in_no_widget",),
    "S33": (
        "s33_what_is_shown_carries_no_codes_for_terminals",
        "a27_an_error_message_that_attacks",
    ),
    "S36": (
        "s36_whom_the_umask_lets_read_a_store_may_and_only_its_owner_writes_or_sees_the_journal",
        "a_store_that_is_another_users_is_read_and_not_written_even_where_it_could_be",
    ),
    "S37": ("s37_r32_nothing_stored_is_executed_and_nothing_locks",),
    "S38": (
        "s38_a_record_with_a_field_that_cannot_be_is_damaged",
        "nothing_is_written_or_removed_where_a_link_leads_out",
        "no_other_name_is_taken",
    ),
    "S40": ("s40_it_listens_on_127_0_0_1_and_nowhere_else",),
    "S41": ("s41_the_key_is_new_at_each_start_and_in_no_command_line_environment_repr_or_log",),
    "S42": ("s42_a_foreign_host_is_403_also_with_a_valid_key",),
    "S43": ("s43_the_cross_site_post_that_needs_no_preflight_draws_nothing",),
    "S44": ("s44_thirty_spellings_of_a_path_outside_are_404_and_open_no_file",),
    "S45": (
        "s45_the_bounds_are_the_bars",
        "s45_who_is_slow_is_dropped",
    ),
    "S47": (
        "s30_outside_text_is_escaped_and_nothing_is_active",
        "r52_html_keeps_every_picture_and_its_text_alternative",
    ),
    "S50": ("off_neither_reads_nor_writes",),
    "S51": ("s51_nothing_of_a_prompt_is_left_in_the_folder",),
    "S52": ("s52_importing_the_package_imports_no_heavy_library_opens_no_socket_and_writes_nothing",),
    "S60": (
        "s60_what_is_installed_is_at_least_the_floor",
        "s60_every_requirement_of_users_has_a_floor_that_is_tried",
        "what_is_done_in_a_notebook_works_there",
    ),
    "S61": ("s61_every_dependency_has_a_floor_and_its_reason_in_the_readme",),
    "S62": ("s62_the_wheel_holds_the_package_and_its_lessons_and_nothing_else",),
    "S63": ("s63_who_publishes_runs_nothing_else",),
    "S64": ("s64_actions_are_pinned_by_hash_and_may_only_read",),
    "S65": (
        "no_message_names_a_model_a_picture_or_a_length",
        "every_picture_has_one_length_one_size_and_no_metadata",
        "nothing_that_reaches_the_browser_tells_which_is_which",
        "where_another_axis_will_be_judged_later_a_caption_tells_the_prompt_and_no_model",
    ),
}

DIFFERS = {
    "R35": "a store that cannot be written is told at the first call that would record, not at import",
    "S36": "another user's store is read, since teachers share them, and never written",
    "S41": "models, health and the OpenAPI document are open, as the API's contract says",
    "S50": "where recordings are kept is in the status and not in an output, which would not replay",
    "S60": "httpx and not httpx2, as the design says; what httpx would inflate is bounded here",
    "R09": "the deadline is 330 s, above the service's own 300 s",
    "R17": "more than ten pictures ask first; money has a cap and does not ask",
}
"""Bars that hold in another shape, which the design or the contract asks for."""
